"""How MkDocs gets the pages: where they are, what they include, and what is made beside them.

Pages keep the paths that they have in the repository, so that a link which works there works in
the site; only where they are published differs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import llms
import pages
from mkdocs.structure.files import File, Files

os.environ["GAISTREAM_BACKEND"] = "pure"  # whose signatures llms.py shows
from gaistream import __version__


def on_config(config: Any) -> None:
    """Say at the foot of each page which version it is about."""
    config.copyright = f"gaistream {__version__}. Apache-2.0."


def on_files(files: Files, config: Any) -> Files:
    """Take the pages from where they are; leave the theme's files and the assets alone."""
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


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put in what a page includes."""
    return pages.expand(markdown, page.file.src_uri)


def on_post_build(config: Any) -> None:
    """Write llms.txt, llms-full.txt and the Markdown of each page beside the site."""
    for name, text in llms.files(config["nav"]).items():
        path = Path(config.site_dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
