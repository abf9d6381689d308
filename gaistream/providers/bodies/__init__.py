"""`ChatRequest` to the JSON bodies of services: the inverse of `dialects/*/request.py`.

A request's messages and fields have the names of Chat Completions. What only one protocol has is
among them as it came: Anthropic's blocks and OpenAI's items among the parts of messages, tools that
a vendor's servers run, and fields of `extra`. Each body takes what its service knows and leaves out
what only another one knows; a name that no protocol here has goes through. Marks such as
`from_client` are never sent.
"""
