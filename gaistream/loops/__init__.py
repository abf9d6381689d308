"""Where a stream runs: event loops, tasks, threads, and sources of every kind."""

from .asyncio import event_loop, forget_loop, new_loop, replace_event_loop

__all__ = ["event_loop", "forget_loop", "new_loop", "replace_event_loop"]
