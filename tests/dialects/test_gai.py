"""The errors of the default protocol."""


def test_only_the_text_of_a_stream_error_is_shown(gs):
    event_of = gs.dialects.base.error_event
    error = gs.StreamError("slow down", code="rate_limited", retry_after=1.5)
    assert event_of(error) == gs.events.Error("slow down", "rate_limited", 1.5)
    for hidden in (ValueError("secret"), KeyboardInterrupt("secret"), gs.errors.FrameError("s")):
        assert event_of(hidden) == gs.events.Error("internal error", "internal")


def test_errors_of_the_default_protocol_carry_a_retry_hint(gs):
    for options, hint in (
        ({}, "retry: 5000\n"),
        ({"retry_ms": 7}, "retry: 7\n"),
        ({"max_retries": 0, "retry_ms": 7}, ""),
    ):
        encoder = gs.SSEEncoder(gs.SSEOptions(**options))
        encoder.write(gs.events.Error("m"))
        expected = f'event: error\n{hint}data: {{"error":"m"}}\n\n'.encode()
        assert encoder.take() == expected
        encoder.fail(gs.events.Error("m"))
        assert encoder.take() == expected
