"""Bytes to events, from any source of bytes."""
