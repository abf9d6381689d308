"""Templates that a dialect changes during the stream, and numbers in frames."""

import pytest


class Blocks:
    """A dialect with one open block, whose index stands in the frame of each delta."""

    text_template = reasoning_template = None
    joins_text = True

    def __init__(self, gs, numbered=False):
        self.gs = gs
        self.middle = b'","n":' if numbered else None
        self.asked = []
        self.index = -1
        self.fails = False

    def template(self):
        end = b"}\n" if self.middle else b'"}\n'
        return self.gs.FrameTemplate(b'{"i":%d,"t":"' % self.index, end, middle=self.middle)

    def write(self, encoder, item):
        self.asked.append(item)
        events = self.gs.events
        self.index += 1
        if type(item) in (str, events.TextDelta):
            encoder.set_templates(text=self.template())
        elif type(item) is events.ReasoningDelta:
            encoder.set_templates(reasoning=self.template())
        elif type(item) is events.ToolCallDelta:
            encoder.set_templates(tool_call=self.template(), tool_call_id=item.id)
        else:
            encoder.set_templates()
            encoder.write_ready(b"closed\n")
            return
        encoder.write_ready(b"open\n")
        encoder.write(item)
        if self.fails:
            raise LookupError

    def fail(self, encoder, error):
        encoder.set_templates()
        raise LookupError

    def finish(self, encoder):
        encoder.write_ready(b"end\n")


KINDS = ("BaseSSEEncoder", "BaseNDJSONEncoder")


def made(gs, kind, dialect=None, **options):
    dialect = dialect or Blocks(gs)
    return dialect, getattr(gs.core, kind)(dialect, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_the_dialect_is_asked_once_a_block(gs, kind):
    events = gs.events
    dialect, encoder = made(gs, kind)
    items = [
        "a", events.TextDelta("b"), "c",
        events.ReasoningDelta("d"), events.ReasoningDelta("e"),
        events.ToolCallDelta("x", "f"), events.ToolCallDelta("x", "g"),
        events.ToolCallDelta("y", "h"), events.StepStart(), "i",
    ]  # fmt: skip
    for item in items:
        encoder.write(item)
    expected = (
        b'open\n{"i":0,"t":"a"}\n{"i":0,"t":"b"}\n{"i":0,"t":"c"}\n'
        b'open\n{"i":1,"t":"d"}\n{"i":1,"t":"e"}\n'
        b'open\n{"i":2,"t":"f"}\n{"i":2,"t":"g"}\nopen\n{"i":3,"t":"h"}\nclosed\n'
        b'open\n{"i":5,"t":"i"}\n'
    )
    assert encoder.take() == expected
    assert dialect.asked == [items[index] for index in (0, 3, 5, 7, 8, 9)]
    for many in (items, iter(items)):
        _, other = made(gs, kind)
        other.write_many(many)
        assert other.take() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_fails_restores_the_templates_and_the_number(gs, kind):
    dialect, encoder = made(gs, kind, Blocks(gs, numbered=True))
    encoder.write_many(["a", "b"])
    encoder.take()
    dialect.fails = True
    for write in (encoder.write, encoder.fail):
        with pytest.raises(LookupError):
            write(gs.events.ReasoningDelta("c"))
        assert (encoder.sequence, encoder.pending) == (2, 0)
    encoder.write("d")
    assert encoder.take() == b'{"i":0,"t":"d","n":2}\n'


@pytest.mark.parametrize("kind", KINDS)
def test_encode_many_leaves_the_templates_and_the_number(gs, kind):
    dialect, encoder = made(gs, kind, Blocks(gs, numbered=True))
    assert encoder.encode_many(["a", gs.events.StepStart(), "b"]) == (
        b'open\n{"i":0,"t":"a","n":0}\nclosed\nopen\n{"i":2,"t":"b","n":1}\n'
    )
    assert encoder.sequence == 0
    encoder.write("c")
    assert dialect.asked[-1] == "c"


def test_a_bad_text_changes_nothing(gs):
    _, encoder = made(gs, "BaseSSEEncoder", Blocks(gs, numbered=True), errors="strict")
    with pytest.raises(UnicodeEncodeError):
        encoder.write("\ud800")
    assert (encoder.pending, encoder.sequence) == (0, 0)
    encoder.write("a")
    with pytest.raises(UnicodeEncodeError):
        encoder.write("\ud800")
    encoder.write("é" * 300)
    assert encoder.take() == (
        f'open\n{{"i":1,"t":"a","n":0}}\n{{"i":1,"t":"{"é" * 300}","n":1}}\n'.encode()
    )


def test_halves_of_a_pair_are_joined_in_text_and_replaced_in_arguments(gs):
    _, encoder = made(gs, "BaseSSEEncoder")
    encoder.join_halves()
    encoder.write_many(["a\ud83d", "\ude00", "b\ud83d", gs.events.ToolCallDelta("x", "c\ud83d")])
    encoder.write(gs.events.ToolCallDelta("x", "\ude00"))
    assert encoder.take().decode() == (
        'open\n{"i":0,"t":"a"}\n{"i":0,"t":"\U0001f600"}\n{"i":0,"t":"b"}\n{"i":0,"t":"\ufffd"}\n'
        'open\n{"i":1,"t":"c\ufffd"}\n{"i":1,"t":"\ufffd"}\n'
    )


def test_numbered_frames_have_ids_too(gs):
    _, encoder = made(gs, "BaseSSEEncoder", Blocks(gs, numbered=True), include_id=True)
    encoder.write_many(["a", "b"])
    encoder.write_heartbeat()
    assert encoder.take() == (
        b'open\nid: 1\n{"i":0,"t":"a","n":0}\nid: 2\n{"i":0,"t":"b","n":1}\n: keep-alive\n'
    )
    assert encoder.last_id == 2


def test_a_writer_may_declare_numbered_templates(gs):
    dialect = Blocks(gs)
    dialect.text_template = gs.FrameTemplate(b"<", b">", middle=b",")
    dialect.reasoning_template = gs.FrameTemplate(b"(", b")", middle=b",")
    _, encoder = made(gs, "BaseNDJSONEncoder", dialect)
    encoder.sequence = 2**53 - 1
    encoder.write_many(["a", gs.events.ReasoningDelta("b")])
    assert encoder.take() == b"<a,9007199254740991>(b,9007199254740992)"
    assert dialect.asked == []


def test_the_dialect_takes_numbers_for_its_own_frames(gs):
    _, encoder = made(gs, "BaseSSEEncoder")
    encoder.sequence += 5
    assert encoder.sequence == 5
    encoder.write("a")  # this template has no slot
    assert encoder.sequence == 5
    for bad in (-1, 2**53, 2**80):
        with pytest.raises(gs.errors.FrameError, match=r"^sequence must be from 0 to 900"):
            encoder.sequence = bad
    for bad in (True, 1.0, None):
        with pytest.raises(gs.errors.FrameTypeError, match=r"^sequence must be int, not"):
            encoder.sequence = bad
    assert encoder.sequence == 5


def test_templates_of_a_wrong_type_are_refused(gs):
    template = gs.FrameTemplate(b"<", b">")
    _, encoder = made(gs, "BaseSSEEncoder")
    encoder.write("a")
    encoder.take()
    for name in ("text", "reasoning", "tool_call"):
        with pytest.raises(gs.errors.FrameTypeError, match=rf"^{name} must be a FrameTemplate or "):
            encoder.set_templates(**{name: b"x"})
    with pytest.raises(gs.errors.FrameTypeError, match=r"^tool_call_id must be str or None, not"):
        encoder.set_templates(tool_call=template, tool_call_id=5)
    for half in ({"tool_call": template}, {"tool_call_id": "x"}):
        with pytest.raises(gs.errors.FrameError, match=r"must be given together$"):
            encoder.set_templates(**half)
    encoder.write("b")
    assert encoder.take() == b'{"i":0,"t":"b"}\n'
    dialect = Blocks(gs)
    dialect.text_template = "x"
    with pytest.raises(gs.errors.FrameTypeError, match=r"^text must be a FrameTemplate or None"):
        gs.core.BaseSSEEncoder(dialect)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("numbered", [False, True])
def test_an_empty_delta_of_an_open_block_is_not_written(gs, kind, numbered):
    events = gs.events
    dialect, encoder = made(gs, kind, Blocks(gs, numbered))
    for filled, empty in (
        ("a", ""),
        (events.TextDelta("a"), events.TextDelta("")),
        (events.ReasoningDelta("a"), events.ReasoningDelta("")),
        (events.ToolCallDelta("1", "a"), events.ToolCallDelta("1", "")),
    ):
        encoder.write(filled)
        frames, asked, number = encoder.take(), len(dialect.asked), encoder.sequence
        encoder.write(empty)
        assert (encoder.take(), len(dialect.asked), encoder.sequence) == (b"", asked, number)
        assert frames.startswith(b"open\n")
        encoder.write(events.Done())
        encoder.ended = False
        encoder.take()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("numbered", [False, True])
def test_the_texts_that_templates_write_are_collected(gs, kind, numbered):
    events = gs.events
    template = gs.FrameTemplate(b"<", b">", middle=b"," if numbered else None)
    _, encoder = made(gs, kind, Blocks(gs))
    encoder.join_halves()
    pieces = []
    templates = {"text": template, "reasoning": template}
    encoder.set_templates(**templates, tool_call=template, tool_call_id="x", pieces=pieces)
    for item in (
        "a", events.TextDelta("b"), "", events.ReasoningDelta("c"), events.ToolCallDelta("x", "d"),
        events.ToolCallDelta("x", ""), "e\ud83d", "\ude00", "f\ud83d",
    ):  # fmt: skip
        encoder.write(item)
    assert pieces == ["a", "b", "c", "d", "e", "\U0001f600", "f"]
    with pytest.raises(LookupError):  # the half that was written before it is taken back
        encoder.fail(events.Error("no"))
    assert pieces == ["a", "b", "c", "d", "e", "\U0001f600", "f"]
    encoder.write("\ude00")
    assert pieces[-1] == "\U0001f600"
    encoder.encode_many(["h", "i"])  # which leaves nothing
    assert pieces[-1] == "\U0001f600"
    encoder.set_templates(text=template)
    encoder.write("g")
    assert pieces[-1] == "\U0001f600"
    with pytest.raises(gs.errors.FrameTypeError, match=r"^pieces must be list or None, not tuple$"):
        encoder.set_templates(text=template, pieces=())
