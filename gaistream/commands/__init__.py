"""The commands of `gaistream`, one a file, each as `command`; `cli.py` imports them by name.

The files with a leading underscore are what they share. `_rules`, `_sse_rules`, `_ndjson_rules`,
`_http_rules`, `_protocols` and `_conversions` know no input or output.
"""
