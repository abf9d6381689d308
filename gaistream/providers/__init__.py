"""Where events come from: the embedded handbook, and services that speak a model's protocol.

Each provider is a file of its own and is imported by its full name, so that none of them costs
anything to those who do not use it:

    from gaistream.providers.docs import DocsProvider
    from gaistream.providers.openai import OpenAIProvider
"""
