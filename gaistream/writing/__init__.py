"""Events to bytes to a sink: options, encoders, writers and their timer."""
