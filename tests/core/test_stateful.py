"""Buffer and writer as machines: both twins do the same steps.

Hypothesis looks for a sequence of steps after which one twin differs from the other, or a buffer
from its model, the bytes that were appended. The sink takes a chosen portion, or fails.
"""

from contextvars import copy_context

import pytest
from every_name import Permit, Promise, Suspended
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


def flush_all(inlets):
    for inlet in inlets:
        inlet.flush()


class OutboxMachine(TwinMachine):
    """Outboxes of both twins beside each other, with connections that do the same."""

    @initialize(
        at_once=st.booleans(),
        sizes=st.tuples(*3 * [st.sampled_from([1, 90, 10**6])]),
        seconds=st.sampled_from([-1.0, 3600.0]),
    )
    def make(self, at_once, sizes, seconds):
        flush_size, turn_bytes, most_pending = sizes
        self.how, self.logs, self.outboxes = "whole", [], []
        self.contexts, self.futures = [], [[] for _ in self.twins]
        self.inlets, self.soon, self.running = [], [], "loop"
        for gs, futures in zip(self.twins, self.futures, strict=True):
            outbox = gs.core.Outbox(
                gs.SSEEncoder(), at_once, flush_size, turn_bytes, seconds, most_pending
            )
            outbox.open(lambda made=futures: made.append(Promise()) or made[-1], lambda: 7.5)
            self.outboxes.append(outbox)
            self.logs.append([])
            self.contexts.append(copy_context())
            turns = gs.core.Turns(self.soon.append, flush_all)
            inlet = gs.core.Inlet(outbox, turns, at_once, lambda: self.running, "loop")
            self.inlets.append(inlet)

    def outcomes(self, step):
        """Make a step on each twin: what it returns or raises, and what it leaves, is the same."""
        seen = []
        for number, (gs, outbox) in enumerate(zip(self.twins, self.outboxes, strict=True)):
            try:
                answer = step(gs, outbox, number)
            except (ValueError, TypeError, RuntimeError, gs.errors.GaistreamError) as error:
                answer = type(error).__name__, str(error)
            if isinstance(answer, Promise):
                answer = "a future"
            results = [each.results for each in self.futures[number]]
            seen.append((answer, results, outbox.events, outbox.bytes, outbox.pending,
                         outbox.waiting, outbox.idle_since, outbox.sending_since,
                         self.logs[number]))  # fmt: skip
        assert all(each == seen[0] for each in seen), seen
        return seen[0]

    def send(self, log):
        """Return a send that does as `how` says."""

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
    def grant(self, running, known, shares):
        def step(_, outbox, number):
            log = self.logs[number]

            def swap(loop, task):
                log.append(("swapped", loop, task))
                return running

            current = {"other": "task"} | ({"loop": running} if running else {})
            log.append(current)  # and so compared after each step
            context = self.contexts[number] if shares else copy_context()
            outbox.grant(Permit(self.send(log), context, current if known else swap, shares))

        self.outcomes(step)

    @rule(how=st.sampled_from(["whole", "waits", "fails", "refuses", "is no coroutine"]))
    def sends_do(self, how):
        self.how = how

    @rule(item=st.one_of(st.text(max_size=40), st.just(object), st.just("x" * 120)))
    def accept(self, item):
        self.outcomes(lambda gs, outbox, number: outbox.accept(item))

    @rule(count=st.integers(1, 20))
    def accept_several(self, count):
        self.outcomes(lambda gs, outbox, number: [outbox.accept("x") for _ in range(count)])

    @rule(items=st.lists(st.sampled_from(["x", object, "x" * 120, None]), max_size=4))
    def put(self, items):
        self.outcomes(lambda gs, outbox, number: list(map(self.inlets[number].put, items)))

    @rule(is_open=st.booleans(), running=st.sampled_from(["loop", "another", None]))
    def let_put(self, is_open, running):
        self.running = running
        for inlet in self.inlets:
            inlet.is_open = is_open

    @rule()
    def end_turn(self):
        calls, self.soon[:] = list(self.soon), []
        assert len(calls) in (0, len(self.twins))
        self.outcomes(lambda gs, outbox, number: calls and calls[number]())

    @rule()
    def flush_inlet(self):
        self.outcomes(lambda gs, outbox, number: self.inlets[number].flush())

    @rule(waits=st.booleans())
    def flush(self, waits):
        def step(_, outbox, number):
            if waits and not outbox.waiting:
                outbox.wait()
            return outbox.flush()

        self.outcomes(step)

    @rule(items=st.lists(st.sampled_from(["x", "x" * 120]), max_size=3), waits=st.booleans())
    def source_suspends(self, items, waits):
        def step(gs, outbox, number):
            async def read():
                for item in items:
                    outbox.accept(item)
                await Suspended()

            if waits and not outbox.waiting:
                outbox.wait()
            reader = gs.core.SourceReader(outbox, read())
            try:
                return self.contexts[number].run(reader.send, None)
            finally:
                reader.close()

        self.outcomes(step)

    @rule(name=st.sampled_from(["hold", "wait", "wait_for_room", "begin_send", "end_send"]))
    def call(self, name):
        self.outcomes(lambda gs, outbox, number: getattr(outbox, name)())

    @rule(sending=st.booleans())
    def take(self, sending):
        self.outcomes(lambda gs, outbox, number: outbox.take(sending))

    @rule()
    def take_started(self):
        def step(_, outbox, number):
            started = outbox.take_started()
            return started and (started[0] is None, started[1], repr(started[2]))

        self.outcomes(step)

    @precondition(lambda self: self.outboxes[0].events > 3)
    @rule(how=st.sampled_from(["done", None, "cut", "released"]))
    def end(self, how):
        def step(gs, outbox, number):
            if how == "done":
                return outbox.accept(gs.events.Done())
            return outbox.release() if how == "released" else outbox.close(how)

        self.outcomes(step)

    def teardown(self):
        for outbox in getattr(self, "outboxes", ()):
            outbox.take_started()


@pytest.mark.parametrize("machine", [BufferMachine, WriterMachine, OutboxMachine])
def test_no_sequence_of_steps_distinguishes_the_twins_and_their_model(both, machine):
    run_state_machine_as_test(lambda: machine(both), settings=examples(80))
