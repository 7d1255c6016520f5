"""Bytes to text: which encoding a page or file is in, whatever it says of itself. Always valid Unicode.

Order: byte order mark; UTF-8 where the bytes are valid UTF-8 (pages in other encodings practically never are, while
servers that name a wrong charset are common); the charset of the header; the page's own `<meta>` or XML declaration,
each unless the bytes speak against it; a guess by letters (`charset_guess`), at last one by charset-normalizer.
Refuses to know: where the bytes came from.
"""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

from literesearcher.reading import charset_guess
from literesearcher.reading.unicode_text import valid_unicode

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"""<meta\b[^<>]{0,500}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})|"""
    rb"""<\?xml[^<>]{0,100}?encoding\s*=\s*["']\s*([A-Za-z0-9_.:-]{2,40})""",
    re.I,
)
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
_BEFORE_ODD_BYTES = 2_000
"""Of the ASCII before the first byte that is no UTF-8, so much helps a guess."""
_BINARY_BYTES = 8_192
_HEAD_BYTES = 4_096
_BROKEN_SHARE = 0.05
"""More of the odd bytes than this are no characters: the name is wrong, not the page damaged."""
_ASCII = bytes(range(0x80))


def decode(body: bytes, declared: str | None = None) -> str:
    """The text of `body`, never an error: what nothing tells is UTF-8 with replacements.

    `declared` is the charset of its Content-Type header. A body that was cut may end inside a character.
    """
    text = _decoded(body, declared)
    return body.decode("utf-8", "replace") if text is None else text


def decode_unless_binary(body: bytes) -> str | None:
    """The text of a file, None where it is binary or in an encoding that cannot be told."""
    if b"\0" in body[:_BINARY_BYTES] and not body.startswith(tuple(mark for mark, _ in _MARKS)):
        return None
    return _decoded(body, None)


def _decoded(body: bytes, declared: str | None) -> str | None:
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    label = _usable(declared)
    inside = _usable(_declared_inside(body))
    odd = 0
    if label is None or not label.startswith(_SEVEN_BIT):
        try:
            return _seven_bit(body, inside) or body.decode()
        except UnicodeDecodeError as error:
            odd = error.start
        # A body cut at a size limit ends inside a character; other such characters before it show that it is UTF-8.
        if odd >= len(body) - 3 and not body[:odd].isascii():
            return body[:odd].decode()
    named = _named(body, odd, [name for name in (label, inside) if name is not None])
    if named is not None:
        return valid_unicode(body.decode(named, "replace"))
    # ASCII looks alike in all encodings: a guess wants the bytes that do not.
    found = charset_guess.guess(body[odd:])
    if found is not None and found.fit >= charset_guess.LIKELY:
        return valid_unicode(body.decode(found.encoding, "replace"))
    start = max(0, odd - _BEFORE_ODD_BYTES) if body[:odd].isascii() else 0
    guess = from_bytes(body[start : start + _GUESS_BYTES]).best()
    return valid_unicode(body.decode(guess.encoding, "replace")) if guess else None


def _named(body: bytes, odd: int, names: list[str]) -> str | None:
    """The declared encoding that the bytes are in: the header's, else the page's own; None where neither can be right.

    A name is doubted where the bytes break it, and where they make no language's letters while a guess is sure of
    another's (servers name UTF-8 or Latin-1 for whatever they have).
    """
    standing = [name for name in dict.fromkeys(names) if _broken(body, odd, name) <= _BROKEN_SHARE]
    if not standing or standing[0].startswith(_SEVEN_BIT):
        return standing[0] if standing else None
    fits = {name: charset_guess.fit(body[odd:], name) for name in standing}
    chosen = next((name for name in standing if fits[name] >= charset_guess.LIKELY), standing[0])
    if fits[chosen] < charset_guess.LIKELY:
        found = charset_guess.guess(body[odd:])
        if found is not None and found.fit >= charset_guess.SURE:
            return found.encoding
    return chosen


def _broken(body: bytes, odd: int, name: str) -> float:
    """Characters that are none in the encoding, as a share of the odd bytes near the first."""
    sample = body[odd : odd + _GUESS_BYTES]
    return sample.decode(name, "replace").count("\ufffd") / max(20, len(sample.translate(None, _ASCII)))


def _seven_bit(body: bytes, inside: str | None) -> str | None:
    """Text in an encoding whose bytes are valid UTF-8 by chance: ISO-2022 by its escapes, UTF-16 by its zeros."""
    head = body[:_HEAD_BYTES]
    if b"\x1b$" in head:
        name = inside if inside is not None and inside.startswith("iso2022") else "iso2022_jp_2"
        try:
            return body.decode(name)
        except UnicodeDecodeError:
            return None
    if len(head) >= 4 and head.count(0) * 3 > len(head):
        zeros = head[1::2].count(0), head[::2].count(0)
        name = "utf-16-le" if zeros[0] > zeros[1] else "utf-16-be"
        return valid_unicode(body.decode(name, "replace")) if min(zeros) * 8 < max(zeros) else None
    return None


def _declared_inside(body: bytes) -> str | None:
    found = _DECLARED.search(body[:_HEAD_BYTES])
    return (found[1] or found[2]).decode("ascii") if found else None


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
