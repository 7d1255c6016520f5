"""One file to one page: Markdown, HTML, PDF and text, as Markdown with a title.

Owns: which kind a file is, its encoding, its title. Refuses to know: folders, record files, the index.
Neighbour: `corpus.ingestion` hands it bytes and names what it refuses.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from html import unescape

import pypdfium2  # type: ignore[import-untyped]
from charset_normalizer import from_bytes
from html_to_markdown import ConversionError, ConversionOptions, PreprocessingOptions, convert

from literesearcher.corpus.records import TEXT_CHARS, TITLE_CHARS

PDF_PAGES = 5_000
_BARE_BELOW = 200
"""The converter skips nodes nested too deep; output shorter than this is compared with the bare text."""
_GUESS_BYTES = 50_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(\S.*)$", re.MULTILINE)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(\S.*)$", re.MULTILINE)
_META_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
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
    """The page in a file's bytes; `name` is the file's name. Raises `Unreadable`."""
    suffix = "." + name.rsplit(".", 1)[-1].lower() if "." in name else ""
    stem = name[: -len(suffix)] if suffix else name
    if suffix == ".pdf" or body.startswith(b"%PDF-"):
        found = _pdf(body)
    else:
        text = decode(body)
        if suffix in _HTML or (suffix == "" and text[:200].lstrip().lower().startswith(("<!doctype html", "<html"))):
            found = _html(text)
        elif suffix in _MARKDOWN:
            found = _markdown(text)
        else:
            found = Document("", text)
    text = found.text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    if not text:
        raise Unreadable("it holds no text")
    title = " ".join((found.title or stem).split())[:TITLE_CHARS]
    return Document(valid(title), valid(text))


def decode(body: bytes) -> str:
    """Bytes to text: byte order mark, UTF-8, the charset an HTML page names, a guess. Raises `Unreadable` on binary."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body.decode(encoding, "replace")
    if b"\0" in body[:8192]:
        raise Unreadable("it is binary")
    try:
        return body.decode()
    except UnicodeDecodeError:
        pass
    declared = _META_CHARSET.search(body[:2048])
    if declared:
        try:
            return body.decode(declared[1].decode("ascii"), "replace")
        except (LookupError, ValueError):
            pass
    guess = from_bytes(body[:_GUESS_BYTES]).best()
    if guess is None:
        raise Unreadable("it is binary or in an encoding that cannot be told")
    return body.decode(guess.encoding, "replace")


def valid(text: str) -> str:
    """The text without lone surrogates: each becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _markdown(text: str) -> Document:
    title = ""
    if text.startswith("---\n"):
        end = text.find("\n---", 4)
        front = _FRONT_TITLE.search(text[4:end]) if end > 0 else None
        if front:
            title = front[1].strip().strip("\"'")
        if end > 0:
            text = text[end + 4 :].lstrip("\n")
    heading = _HEADING.search(text[:20_000])
    return Document(title or (heading[1].strip("# \t") if heading else ""), text)


def _html(source: str) -> Document:
    options = ConversionOptions(
        skip_images=True, preprocessing=PreprocessingOptions(enabled=True, remove_navigation=True, remove_forms=True)
    )
    try:
        result = convert(source, options)
    except (ConversionError, ValueError, RuntimeError) as error:
        raise Unreadable(f"its HTML cannot be read: {str(error)[:100]}") from None
    content = result.content or ""
    if content.startswith("---\n"):
        end = content.find("\n---\n", 3)
        content = content if end < 0 else content[end + 5 :]
    if len(content) < _BARE_BELOW:
        bare = " ".join(unescape(_TAG.sub(" ", source[:TEXT_CHARS])).split())
        if len(bare) > 4 * max(len(content), 20) and "<script" not in source[:TEXT_CHARS].lower():
            content = bare
    title = result.metadata.document.title if result.metadata else None
    heading = _HEADING.search(content[:20_000])
    return Document(title or (heading[1] if heading else ""), content)


def _pdf(body: bytes) -> Document:
    try:
        document = pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError as error:
        raise Unreadable(f"its PDF cannot be read ({str(error)[:100]})") from None
    try:
        parts: list[str] = []
        size = 0
        for number in range(min(len(document), PDF_PAGES)):
            page = document[number]
            text_page = page.get_textpage()
            text = text_page.get_text_bounded()
            text_page.close()
            page.close()
            parts.append(text)
            size += len(text)
            if size > TEXT_CHARS:
                break
        title = str(document.get_metadata_value("Title") or "")
    except pypdfium2.PdfiumError as error:
        raise Unreadable(f"its PDF cannot be read ({str(error)[:100]})") from None
    finally:
        document.close()
    return Document(title, "\n\n".join(part.strip() for part in parts if part.strip()))
