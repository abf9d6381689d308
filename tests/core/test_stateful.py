"""Buffer and writer as machines: both twins do the same steps.

Hypothesis looks for a sequence of steps after which one twin differs from the other, or a buffer
from its model, the bytes that were appended. The sink takes a chosen portion, or fails.
"""

from contextvars import copy_context

import pytest
from every_name import Promise, Suspended
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twin_input import examples

pytestmark = pytest.mark.hypothesis_twins
small = st.binary(max_size=300)
large = st.integers(0, 20_000).map(lambda size: b"\xc3\xa9x" * size)


class TwinMachine(RuleBasedStateMachine):
    """Machine with the twins of this run."""

    def __init__(self, twins):
        super().__init__()
        self.twins = twins


class BufferMachine(TwinMachine):
    """Buffers of both twins beside a bytearray."""

    @initialize(size=st.sampled_from([1, 7, 4096, 8192, 100_000]))
    def make(self, size):
        self.buffers = [gs.core.Buffer(size) for gs in self.twins]
        self.model = bytearray()
        self.views = []

    def do(self, step):
        """Make a change; while a view exists all buffers refuse it, or have nothing to change."""
        if not self.views:
            return [step(buffer) for buffer in self.buffers]
        seen = []
        for buffer in self.buffers:
            try:
                seen.append(step(buffer))
            except BufferError as error:
                seen.append(str(error))
        assert all(each == seen[0] for each in seen), seen
        assert all(len(buffer) == len(self.model) for buffer in self.buffers)
        return None

    @rule(data=st.one_of(small, large), kind=st.sampled_from([bytes, bytearray, memoryview]))
    def append(self, data, kind):
        if self.do(lambda buffer: buffer.append(kind(data))) is not None:
            self.model += data

    @rule(share=st.floats(0, 1))
    def truncate(self, share):
        length = int(share * len(self.model))
        if self.do(lambda buffer: buffer.truncate(length)) is not None:
            del self.model[length:]

    @rule()
    def take(self):
        taken = self.do(lambda buffer: buffer.take())
        if taken is not None:
            assert taken == [bytes(self.model)] * len(self.twins)
            self.model.clear()

    @rule(offset=st.integers(0, 9), room=st.integers(-3, 3))
    def take_into(self, offset, room):
        if self.views:
            return
        needed, fits = len(self.model), room >= 0
        for buffer in self.buffers:
            target = bytearray(max(offset, offset + needed + room))
            if fits or not needed:
                assert buffer.take_into(target, offset) == offset + needed
                assert target[offset : offset + needed] == self.model
            elif len(target) - offset < needed:
                with pytest.raises(BufferError, match=str(needed)):
                    buffer.take_into(target, offset)
                assert not any(target)
        if fits or not needed:
            self.model.clear()

    @rule()
    def view(self):
        self.views.append([buffer.view() for buffer in self.buffers])

    @precondition(lambda self: self.views)
    @rule(which=st.integers(0, 1000))
    def release(self, which):
        for view in self.views.pop(which % len(self.views)):
            assert view == self.model
            view.release()

    @invariant()
    def each_holds_what_went_in(self):
        for buffer in getattr(self, "buffers", ()):
            assert len(buffer) == len(self.model)

    def teardown(self):
        for views in getattr(self, "views", ()):
            for view in views:
                view.release()


class Sink:
    """A sink that takes at most `portion` bytes a call, or fails."""

    def __init__(self):
        self.taken, self.most, self.fails = bytearray(), None, False

    def write(self, data):
        if self.fails:
            raise OSError("the sink is gone")
        part = bytes(data[: self.most])
        self.taken += part
        return len(part)


class WriterMachine(TwinMachine):
    """Writers of both twins beside each other."""

    @initialize(at_once=st.booleans(), size=st.sampled_from([1, 64, 4096]), ids=st.booleans())
    def make(self, at_once, size, ids):
        self.sinks = [Sink() for _ in self.twins]
        options = [
            gs.SSEOptions(flush_after_write=at_once, buffer_size=size, flush_interval=3600,
                          heartbeat_interval=None, include_id=ids)
            for gs in self.twins
        ]  # fmt: skip
        self.writers = [
            gs.SSEWriter(sink, option) for gs, sink, option in
            zip(self.twins, self.sinks, options, strict=True)
        ]  # fmt: skip

    def outcomes(self, step):
        """Do a step on each twin; what it gave or raised must be one thing."""
        seen = []
        for gs, writer in zip(self.twins, self.writers, strict=True):
            try:
                seen.append(("gave", step(gs, writer)))
            except (ValueError, TypeError, OSError, gs.errors.GaistreamError) as error:
                seen.append((type(error).__name__, str(error)))
        assert all(each == seen[0] for each in seen), seen
        return seen[0]

    @rule(text=st.text(st.characters(), max_size=200))
    def write_text(self, text):
        self.outcomes(lambda gs, writer: writer.write(gs.events.TextDelta(text)))

    @rule(data=st.text(max_size=50), event=st.text(max_size=5))
    def write_frame(self, data, event):
        self.outcomes(lambda gs, writer: writer.write_frame(data, event))

    @rule(
        data=st.one_of(st.text(max_size=50), st.none(), st.binary(max_size=9), st.just([1])),
        event=st.one_of(st.text(max_size=5), st.just("name"), st.none(), st.just(5)),
    )
    def write_event(self, data, event):
        self.outcomes(lambda gs, writer: writer.write_event(event, data))

    @rule(texts=st.lists(st.one_of(st.text(max_size=9), st.just(object)), max_size=5))
    def write_many(self, texts):
        self.outcomes(lambda gs, writer: writer.write_many(texts))

    @rule(text=st.text(max_size=20))
    def write_comment(self, text):
        self.outcomes(lambda gs, writer: writer.write_comment(text))

    @rule()
    def flush(self):
        self.outcomes(lambda gs, writer: writer.flush())

    @rule(most=st.one_of(st.none(), st.integers(1, 40)))
    def take_less(self, most):
        for sink in self.sinks:
            sink.most = most

    @rule(fails=st.booleans())
    def fail(self, fails):
        for sink in self.sinks:
            sink.fails = fails

    @rule()
    def close(self):
        self.outcomes(lambda gs, writer: writer.close())

    @invariant()
    def the_sinks_hold_one_thing(self):
        taken = [sink.taken for sink in getattr(self, "sinks", ())]
        assert all(each == taken[0] for each in taken)

    def teardown(self):
        for sink in getattr(self, "sinks", ()):
            sink.fails, sink.most = False, None
        if hasattr(self, "writers"):
            self.outcomes(lambda gs, writer: writer.close())
            self.the_sinks_hold_one_thing()


class SenderMachine(TwinMachine):
    """Senders of both twins beside each other, with connections that do the same."""

    @initialize(
        at_once=st.booleans(),
        sizes=st.tuples(*3 * [st.sampled_from([1, 90, 10**6])]),
        seconds=st.sampled_from([-1.0, 3600.0]),
    )
    def make(self, at_once, sizes, seconds):
        flush_size, turn_bytes, most_pending = sizes
        self.how, self.logs, self.senders = "whole", [], []
        for gs in self.twins:
            sender = gs.core.FrameSender(
                gs.SSEEncoder(), at_once, flush_size, turn_bytes, seconds, most_pending
            )
            sender._time = lambda: 7.5
            self.senders.append(sender)
            self.logs.append([])

    def outcomes(self, step):
        """Do a step on each twin; what it gave or raised, and what it left, must be one thing."""
        seen = []
        for gs, sender, log in zip(self.twins, self.senders, self.logs, strict=True):
            try:
                answer = step(gs, sender, log)
            except (ValueError, TypeError, RuntimeError, gs.errors.GaistreamError) as error:
                answer = type(error).__name__, str(error)
            rest = sender._rest and (sender._rest[1], repr(sender._rest[2]))
            waiters = [each and each.results for each in (sender._waiter, sender._room)]
            seen.append((answer, rest, waiters, sender.events, sender.bytes, sender._due,
                         sender._held, sender._finished, sender._interrupted, sender._idle_since,
                         sender._sending_since, sender._frames.pending, log))  # fmt: skip
        assert all(each == seen[0] for each in seen), seen
        return seen[0]

    def send(self, log):
        """Give what begins sends that do as `how` says."""

        async def wait():
            log.append("steps")
            if self.how == "waits":
                await Suspended()
            if self.how == "fails":
                raise RuntimeError("a send that fails")

        def send(chunk):
            log.append(chunk)
            if self.how == "refuses":
                raise ValueError("no send at all")
            return wait() if self.how != "is no coroutine" else Suspended()

        return send

    @rule(running=st.sampled_from([None, "reader"]), known=st.booleans(), shares=st.booleans())
    def lend(self, running, known, shares):
        def step(_, sender, log):
            def swap(loop, task):
                log.append(("swapped", loop, task))
                return running

            current = {"other": "task"} | ({"loop": running} if running else {})
            log.append(current)  # and so compared after each step
            context = copy_context()
            sender._source_context = context if shares else copy_context()
            sender._lend(self.send(log), "loop", "sender", context, current if known else swap)

        self.outcomes(step)

    @rule(how=st.sampled_from(["whole", "waits", "fails", "refuses", "is no coroutine"]))
    def sends_do(self, how):
        self.how = how

    @rule(item=st.one_of(st.text(max_size=40), st.just(object), st.just("x" * 120)))
    def accept(self, item):
        self.outcomes(lambda gs, sender, log: sender._accept(item))

    @rule(count=st.integers(1, 20))
    def accept_several(self, count):
        self.outcomes(lambda gs, sender, log: [sender._accept("x") for _ in range(count)])

    @rule(in_source=st.booleans(), waits=st.booleans())
    def send_now(self, in_source, waits):
        def step(_, sender, log):
            if waits and sender._waiter is None:
                sender._waiter = Promise()
            return (sender._source_context or copy_context()).run(sender._send_now, in_source)

        self.outcomes(step)

    @rule()
    def take(self):
        self.outcomes(lambda gs, sender, log: sender._take())

    @rule()
    def wake(self):
        self.outcomes(lambda gs, sender, log: sender._wake())

    @rule(which=st.sampled_from(["_waiter", "_room"]), done=st.booleans())
    def wait(self, which, done):
        def step(_, sender, log):
            future = Promise()
            if done:
                future.set_result(None)
            setattr(sender, which, future)
            sender._rest = sender._sending_since = None

        self.outcomes(step)

    @rule(which=st.sampled_from(["_due", "_held"]), value=st.booleans())
    def say(self, which, value):
        self.outcomes(lambda gs, sender, log: setattr(sender, which, value))

    @precondition(lambda self: self.senders[0].events > 3)
    @rule(how=st.sampled_from(["done", "finished", "interrupted"]))
    def end(self, how):
        def step(gs, sender, log):
            if how == "done":
                return sender._accept(gs.events.Done())
            return setattr(sender, *{"finished": ("_finished", True),
                                     "interrupted": ("_interrupted", "cut")}[how])  # fmt: skip

        self.outcomes(step)

    def teardown(self):
        for sender in getattr(self, "senders", ()):
            sender._rest = None


@pytest.mark.parametrize("machine", [BufferMachine, WriterMachine, SenderMachine])
def test_no_sequence_of_steps_distinguishes_the_twins_and_their_model(both, machine):
    run_state_machine_as_test(lambda: machine(both), settings=examples(80))
