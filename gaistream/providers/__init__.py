"""Sources of events: the embedded handbook, and services with the protocol of a model.

Each provider is a module of its own, imported by its full name, so that it costs nothing to a
program that does not use it:

    from gaistream.providers.docs import DocsProvider
    from gaistream.providers.openai import OpenAIProvider
"""
