"""The clients that the tests of this folder ask are there, on the Node that they need."""

from __future__ import annotations

import pytest
from required import once_a_check
from vendor_clients import ClientScript, need_clients

once_a_check()


def test_they_are_installed_once() -> None:
    folder = need_clients()
    assert (folder / "node_modules" / "ai6" / "package.json").exists()
    assert need_clients() is folder


def test_a_script_answers_line_by_line() -> None:
    with ClientScript("versions.mjs", "an argument") as script:
        answer = script.ask(text="caf\u00e9 \u2028")
        assert answer["node"].startswith("v22.")
        assert answer["arguments"] == ["an argument"]
        assert script.ask(text="again")["question"] == {"text": "again"}
        assert answer["question"] == {"text": "caf\u00e9 \u2028"}


def test_a_script_that_dies_fails_its_test_with_its_own_words() -> None:
    with (
        ClientScript("versions.mjs") as script,
        pytest.raises(pytest.fail.Exception, match="the reason"),
    ):
        script.ask(die="the reason")
