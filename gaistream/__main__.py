"""`python -m gaistream` is the command `gaistream`."""

from .cli import main

main()
