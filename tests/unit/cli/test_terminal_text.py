"""What a page or a model may not do to a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.cli.terminal_text import one_line, printable


@pytest.mark.parametrize(
    ("hostile", "left"),
    [
        ("a\x1b[2J\x1b[1;1Hb", "ab"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]52;c;ZWNobw==\x1b\\b", "ab"),
        ("a\x1bP1$r\x1b\\b", "ab"),
        ("a\x9b31mb", "ab"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        ("a\x1bcb", "ab"),
        ("over\rwrite\b\b", "overwrite"),
        ("right\u202eleft\u2066x", "rightleftx"),
        ("bell\x07 nul\x00", "bell nul"),
        ("lone\udcff", "lone"),
        ("unfinished\x1b[", "unfinished"),
        ("unfinished\x1b]0;never ends", "unfinished"),
        ("堆\tα\nβ", "堆\tα\nβ"),
    ],
)
def test_escapes_and_controls_are_stripped_and_the_text_stays(hostile: str, left: str):
    assert printable(hostile) == left


@given(st.text(alphabet=st.characters(), max_size=200))
def test_nothing_that_acts_is_left_whatever_comes(text: str):
    shown = printable(text)
    assert not any(ord(character) < 32 and character not in "\n\t" for character in shown)
    assert not any(0x7F <= ord(character) < 0xA0 for character in shown)
    assert printable(shown) == shown
    shown.encode("utf-8")


def test_one_line_is_one_line_and_no_wider():
    assert one_line("a\n\n b\x1b[0m\tc") == "a b c"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"
