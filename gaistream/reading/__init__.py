"""Bytes to events, from anywhere that gives bytes."""
