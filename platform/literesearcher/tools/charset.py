"""Bytes to text: which encoding a page is in, whatever it says of itself. Always valid Unicode, never an error.

Order: byte order mark; UTF-8 where the bytes are valid UTF-8 (pages in other encodings practically never are, while
servers that name a wrong charset are common); the charset of the header; the page's own `<meta>` or XML declaration;
a guess by charset-normalizer over the beginning; UTF-8 with replacements.
"""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"""(?:charset\s*=\s*|<\?xml[^>]{0,100}encoding\s*=\s*)["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I)
_ALIASES = {
    # As browsers read these labels.
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "shift_jis": "cp932",
    "x-sjis": "cp932",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "big5": "big5hkscs",
    "iso-8859-9": "cp1254",
}
_SEVEN_BIT = ("iso-2022", "iso2022", "hz", "utf-16", "utf16", "utf-32", "utf32")
"""Encodings whose bytes can look like ASCII, and so like UTF-8."""
_TEXT_CODECS_REFUSED = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7"))
_GUESS_BYTES = 20_000


def decode(body: bytes, declared: str | None = None) -> str:
    """The text of `body`; `declared` is the charset of its Content-Type header."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    label = _usable(declared)
    if label is None or not label.startswith(_SEVEN_BIT):
        text = _as_utf8(body)
        if text is not None:
            return text
    for named in (label, _usable(_declared_inside(body))):
        if named is not None:
            return _cleaned(body.decode(named, "replace"))
    guess = from_bytes(body[:_GUESS_BYTES]).best()
    return _cleaned(body.decode(guess.encoding if guess else "utf-8", "replace"))


def _as_utf8(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        # A body cut at the size limit may end inside a character.
        if error.start >= len(body) - 3 and error.start > 0:
            return body[: error.start].decode()
        return None


def _declared_inside(body: bytes) -> str | None:
    found = _DECLARED.search(body[:4096])
    return found[1].decode("ascii") if found else None


def _usable(label: str | None) -> str | None:
    if not label:
        return None
    label = label.strip().strip("\"'").lower()
    try:
        codec = codecs.lookup(_ALIASES.get(label, label))
        if codec.name in _TEXT_CODECS_REFUSED or not isinstance(b"".decode(codec.name), str):
            return None
    except (LookupError, ValueError, UnicodeError):
        return None
    return codec.name


def _cleaned(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
