"""Where a stream runs: event loops, tasks, threads, and sources of every kind."""
