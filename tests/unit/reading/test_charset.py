"""Bytes to text: charsets, told rightly, wrongly and not at all."""

from __future__ import annotations

import pytest

from literesearcher.reading.charset import decode, decode_unless_binary

CHINESE = "山东财经大学计算机与人工智能学院，特聘教授名单。" * 20
GERMAN = "Ein schönes Wetter heute, über die Straße gehen wir müde nach Hause. "


@pytest.mark.parametrize(
    ("body", "declared", "expected"),
    [
        ("naïve café".encode(), None, "naïve café"),
        ("naïve café".encode(), "iso-8859-1", "naïve café"),  # a server that names the wrong charset
        ("naïve café".encode("latin-1"), "iso-8859-1", "naïve café"),
        ("“quoted”".encode("cp1252"), "iso-8859-1", "“quoted”"),
        (CHINESE.encode("gb18030"), "gb2312", CHINESE),
        (CHINESE.encode("gb18030"), None, CHINESE),
        (b'<meta charset="gbk">' + CHINESE.encode("gbk"), None, '<meta charset="gbk">' + CHINESE),
        (b'<?xml version="1.0" encoding="big5"?>' + "臺灣大學".encode("big5"), "nonsense", None),
        ("日本語".encode("iso2022_jp"), "iso-2022-jp", "日本語"),
        ("\ufeffmarked".encode(), "latin-1", "marked"),
        ("utf16 ✓".encode("utf-16"), None, "utf16 ✓"),
        (b"", "utf-8", ""),
        (b"plain", "rot13", "plain"),
        (b"plain", "unicode_escape", "plain"),
        ("é".encode() * 10 + b"\xc3", None, "é" * 10),  # cut inside a character
    ],
)
def test_charsets(body, declared, expected):
    text = decode(body, declared)
    text.encode()
    if expected is None:
        assert text.endswith("臺灣大學")
    else:
        assert text == expected


def test_any_bytes_become_valid_text():
    for seed in range(50):
        body = bytes((seed * 37 + i * i * 101) % 256 for i in range(300))
        for declared in (None, "utf-8", "utf-16", "gbk", "hz", "utf-7", "\x00", "x" * 100):
            decode(body, declared).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("naïve café".encode(), "naïve café"),
        ("utf16 ✓".encode("utf-16"), "utf16 ✓"),
        ("utf32 ✓".encode("utf-32"), "utf32 ✓"),
        (CHINESE.encode("gb18030"), CHINESE),
        # All of the odd bytes stand far behind what a guess reads of the beginning.
        (b"plain words\n" * 5_000 + (GERMAN * 10).encode("cp1252"), "plain words\n" * 5_000 + GERMAN * 10),
        # The last byte looks like a UTF-8 character that was cut.
        (b'<meta charset="latin-1">Le caf\xe9', '<meta charset="latin-1">Le café'),
        (b"", ""),
    ],
)
def test_files_say_nothing_of_their_charset(body, expected):
    assert decode_unless_binary(body) == expected
    assert decode(body) == expected


@pytest.mark.parametrize("body", [b"\x00\x01\x02quokka", b"\x7fELF\x02" + b"\x00" * 50, b"GIF89a\x01\x00\xff"])
def test_binary_is_no_text(body):
    assert decode_unless_binary(body) is None
    decode(body).encode()
