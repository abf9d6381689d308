"""Fuzzing of the buffer under the encoders: any sequence of steps, views held among them."""

from twins import fuzz, outcome


def step(core, draw, buffer, views):
    """Do one step, and give what it gave."""
    choice = draw.whole(7)
    if choice < 3:
        return outcome(buffer.append, draw.readable())
    if choice == 3:
        return outcome(buffer.truncate, draw.one((draw.whole(40), len(buffer), len(buffer) // 2)))
    if choice == 4:
        return outcome(buffer.take)
    if choice == 5:
        room = bytearray(draw.one((0, 9, 100, 9000, 200_000)))
        return outcome(buffer.take_into, room, draw.whole(20)), bytes(room)
    if choice == 6:
        views.append(buffer.view())
    elif views:
        views.pop(draw.whole(len(views) - 1)).release()
    return [bytes(view) for view in views]


def use(core, draw):
    """Give all that happens to a buffer of this twin, and to one beside it."""
    buffers = [core.Buffer(draw.one((1, 7, 4096, 8192, 8193, 100_000))) for _ in range(2)]
    views = [[], []]
    seen = []
    while draw.more() and len(seen) < 60:
        which = draw.whole(1)
        seen.append(step(core, draw, buffers[which], views[which]))
        seen.append([len(each) for each in buffers])
    for held in views:
        for view in held:
            view.release()
    return seen, [each.take() for each in buffers]


if __name__ == "__main__":
    fuzz(use)
