"""The site that `make docs` has built: whole, and usable from a disk with no network.

Run by `make docs`. What can be said of the sources alone is in tests/release/test_documentation.py.
"""

from __future__ import annotations

import re
import zlib
from html.parser import HTMLParser
from typing import Any

import pages
import pytest
from pages import ROOT
from required import need_package, need_program

SITE = ROOT / "build/site"
PAGES = {path: place.replace(".md", ".html") for path, place in pages.site_pages().items()}


class Loaded(HTMLParser):
    """Collects what a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.addresses.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") in ("stylesheet", "preconnect", "icon", "preload"):
            self.addresses.append(given.get("href") or "")


@pytest.mark.parametrize("place", [*PAGES.values(), "404.html"])
def test_a_page_loads_nothing_from_elsewhere(place: str) -> None:
    page = Loaded()
    page.feed((SITE / place).read_text())
    assert len(page.addresses) > 3
    for address in page.addresses:
        assert "//" not in address, address
        if address and place != "404.html":
            assert ((SITE / place).parent / address.partition("?")[0]).resolve().exists(), address


def test_every_name_of_the_reference_can_be_linked_to() -> None:
    held = (SITE / "objects.inv").read_bytes()
    listed = zlib.decompress(held[held.index(b"zlib.\n") + 6 :]).decode()
    names = {line.partition(" ")[0]: line.split(" ")[3] for line in listed.splitlines()}
    for path in PAGES:
        for name in re.findall(r"^::: ([\w.]+)$", pages.read_page(path), re.MULTILINE):
            place, _, anchor = names[name].partition("#")
            assert f'id="{anchor.replace("$", name)}"' in (SITE / place).read_text()


def test_signatures_show_nothing_internal_and_link_the_types_that_they_name() -> None:
    explained = re.findall(r"^## (\w+)$", (ROOT / "docs/reference/types.md").read_text(), re.M)
    linked = set()
    for place in PAGES.values():
        if not place.startswith("reference/"):
            continue
        page = (SITE / place).read_text()
        linked |= set(re.findall(r'<a href="types.html#(\w+)">', page))
        for code in re.findall(r'<div class="doc-signature highlight">(.*?)</div>', page, re.S):
            signature = re.sub(r"<[^>]+>", "", code)
            internal = re.search(r"\b_[A-Za-z]|\b[A-Z]+_[A-Z]+|Unpack|unknown", signature)
            assert internal is None, signature
            if "\n" in signature.strip():
                for line in signature.splitlines():
                    assert line.count(": ") <= 1, signature
    assert linked >= {name.lower() for name in explained} - {"source"}


def test_the_text_for_machines_is_there() -> None:
    links = re.findall(r"^- \[.+?\]\((.+?)\): ", (SITE / "llms.txt").read_text(), re.MULTILINE)
    assert sorted(links) == sorted(f"{place}.md" for place in PAGES.values())
    for link in links:
        assert (SITE / link).read_text().startswith("# ")


def test_a_browser_opens_it_from_the_disk_and_searches() -> None:
    need_package("playwright")
    chromium = need_program("chromium")
    from playwright.sync_api import sync_playwright

    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
        page.on("requestfailed", lambda request: wrong.append(f"{request.url} {request.failure}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((SITE / "index.html").as_uri())
        page.click("[data-md-component=search-query]")
        page.keyboard.type("heartbeat")
        page.locator(".md-search-result__link").first.wait_for()
        page.set_viewport_size({"width": 390, "height": 844})
        for place in PAGES.values():
            page.goto((SITE / place).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, place
        browser.close()
    # leaving a page breaks off what it still loads
    assert [each for each in wrong if "ERR_ABORTED" not in each] == []
