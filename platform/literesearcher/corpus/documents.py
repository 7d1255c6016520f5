"""One file to one page: Markdown, HTML, PDF and text, as Markdown with a title.

Owns: which kind a file is, its title. Refuses to know: folders, record files, the index.
Below: `reading` knows the formats. Neighbour: `corpus.ingestion` hands it bytes and names what it refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from literesearcher.corpus.records import TEXT_CHARS, TITLE_CHARS
from literesearcher.errors import BoundaryError
from literesearcher.reading.charset import decode_unless_binary
from literesearcher.reading.html_text import html_to_text
from literesearcher.reading.pdf_text import is_pdf, pdf_to_text

PDF_PAGES = 5_000
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(\S.*)$", re.MULTILINE)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(\S.*)$", re.MULTILINE)
_MARKDOWN = frozenset((".md", ".markdown", ".mdx", ".mdown", ".mkd"))
_HTML = frozenset((".html", ".htm", ".xhtml"))


class Unreadable(ValueError):
    """The file is no page; the message says why, for a person."""


@dataclass(frozen=True, slots=True)
class Document:
    """A page without its URL."""

    title: str
    text: str


def read(body: bytes, name: str) -> Document:
    """The page in a file's bytes; `name` is the file's name, valid Unicode. Raises `Unreadable`."""
    suffix = "." + name.rsplit(".", 1)[-1].lower() if "." in name else ""
    stem = name[: -len(suffix)] if suffix else name
    if suffix == ".pdf" or is_pdf(body):
        found = _pdf(body)
    else:
        text = decode_unless_binary(body)
        if text is None:
            raise Unreadable("it is binary or in an encoding that cannot be told")
        if suffix in _HTML or (suffix == "" and text[:200].lstrip().lower().startswith(("<!doctype html", "<html"))):
            content, title = html_to_text(text)
            found = Document(title or _first_heading(content), content)
        elif suffix in _MARKDOWN:
            found = _markdown(text)
        else:
            found = Document("", text)
    text = found.text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    if not text:
        raise Unreadable("it holds no text")
    return Document(" ".join((found.title or stem).split())[:TITLE_CHARS], text)


def _markdown(text: str) -> Document:
    title = ""
    if text.startswith("---\n"):
        end = text.find("\n---", 4)
        front = _FRONT_TITLE.search(text[4:end]) if end > 0 else None
        if front:
            title = front[1].strip().strip("\"'")
        if end > 0:
            text = text[end + 4 :].lstrip("\n")
    return Document(title or _first_heading(text), text)


def _first_heading(text: str) -> str:
    heading = _HEADING.search(text[:20_000])
    return heading[1].strip("# \t") if heading else ""


def _pdf(body: bytes) -> Document:
    try:
        text, title = pdf_to_text(body, max_pages=PDF_PAGES, max_characters=TEXT_CHARS)
    except BoundaryError as error:
        raise Unreadable(error.message) from None
    return Document(title or "", text)
