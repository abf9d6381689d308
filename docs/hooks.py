"""How MkDocs finds the pages, what they include, and what is made beside them.

Pages keep the paths that they have in the repository, so that a link which works there works in
the site; only where they are published differs.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import llms
import pages
from mkdocs.structure.files import File, Files

os.environ["GAISTREAM_BACKEND"] = "pure"  # llms.py shows its signatures
from gaistream import __version__


def on_config(config: Any) -> None:
    """Write the version at the foot of each page."""
    config.copyright = f"gaistream {__version__}. Apache-2.0."


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from their places; leave the theme's files and the assets alone."""
    for picture in sorted(pages.ROOT.glob("benchmarks/*.svg")):
        path = picture.relative_to(pages.ROOT).as_posix()
        files.append(File(path, str(pages.ROOT), config.site_dir, config.use_directory_urls))
    for path, place in pages.site_pages().items():
        taken = files.get_file_from_path(place)
        if taken is not None:
            files.remove(taken)
        target = File(place, str(pages.ROOT), config.site_dir, config.use_directory_urls).dest_uri
        files.append(
            File(
                path, str(pages.ROOT), config.site_dir, config.use_directory_urls, dest_uri=target
            )
        )
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put in the files that a page includes."""
    return pages.expand(markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Link the names of types in signatures to the page that explains them."""
    if not page.file.src_uri.startswith("docs/reference/"):
        return output
    types = (pages.ROOT / "docs/reference/types.md").read_text("utf-8")
    explained = set(re.findall(r"^## (\w+)$", types, re.MULTILINE))

    def linked(span: re.Match[str]) -> str:
        name = span[1]
        return f'<a href="types.html#{name.lower()}">{name}</a>' if name in explained else name

    output = re.sub(r'<span title="gaistream[\w.]*\.(\w+)">\1</span>', linked, output)
    return re.sub(
        r'(?s)(?<=<div class="doc-signature highlight">).*?(?=</div>)', _one_argument_a_line, output
    )


def _one_argument_a_line(signature: re.Match[str]) -> str:
    """Break the line after each argument, where the formatter has put several into one."""
    if re.match(r"(?s)(<[^>]+>|[\w.])*\((<[^>]+>)*\n", signature[0]) is None:
        return signature[0]  # all of it is in one line
    depth, last, made = 0, "", []
    for part in re.findall(r"(?s)<[^>]+>|.", signature[0]):
        if len(part) == 1:  # or it is a tag
            depth += (part in "([{") - (part in ")]}")
            breaks = part == " " and last == "," and depth == 1
            last = part
        made.append("\n    " if len(part) == 1 and breaks else part)
    return "".join(made)


def on_post_build(config: Any) -> None:
    """Write llms.txt, llms-full.txt and the Markdown of each page beside the site."""
    for name, text in llms.files(config["nav"]).items():
        path = Path(config.site_dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
