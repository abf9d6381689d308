"""Bodies for Gemini and Ollama by the types of google-genai and ollama: every field is known."""

from __future__ import annotations

from typing import Any

from google.genai import types
from ollama._types import ChatRequest

GEMINI = {
    "systemInstruction": types.Content,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
}


def check_gemini_body(body: dict[str, Any]) -> None:
    """Raise unless google-genai's types have every field of a body, with its value."""
    assert body.keys() <= {"contents", "tools", "safetySettings", "cachedContent", *GEMINI}
    for content in body["contents"]:
        assert written(types.Content.model_validate(content)) == content
    for tool in body.get("tools", ()):
        assert written(types.Tool.model_validate(tool)) == tool
    for name, kind in GEMINI.items():
        if name in body:
            assert written(kind.model_validate(body[name])) == body[name]


def written(value: Any) -> Any:
    """Return the JSON of a value of google-genai, without what is not set."""
    return value.model_dump(mode="json", by_alias=True, exclude_unset=True)


def check_ollama_body(body: dict[str, Any]) -> None:
    """Raise unless ollama's type has every field of a body, with its value."""
    assert ChatRequest.model_validate(body).model_dump(exclude_unset=True) == body
