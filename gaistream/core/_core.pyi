# The compiled twin has the types of the pure one, which is its specification.

from .pure import *  # noqa: F403

def allocations() -> tuple[int, int]:
    """Count the calls of the core's allocator so far: (memory blocks, bytes objects)."""
