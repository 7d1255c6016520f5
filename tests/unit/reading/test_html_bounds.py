"""Pages whose marks the converter multiplies: bounded whatever hides their depth, ordinary ones as they were."""

from __future__ import annotations

import subprocess
import sys

import pytest

from literesearcher.reading.html_bounds import bounded_base, bounded_html
from literesearcher.reading.html_text import html_to_text

QUOTES = 400
LINES = "x<br>" * 10_000
WIDE = "<table><tr>" + ("<th>" + "y" * 200) * 400 + "</tr>"
CELLS = [f"<tr><td colspan={span}>z<td>{'y' * 200}" for span in range(1, 500)]
BOMBS = {
    "quotations": "<blockquote>" * QUOTES + LINES,
    "quotations of paragraphs": "<blockquote>" * QUOTES + "<p>x" * 10_000,
    "quotations of code": "<blockquote>" * QUOTES + "<pre>" + "x\n" * 20_000,
    "quotations in capitals": "<BlockQuote\n>" * QUOTES + LINES,
    "quotations with a nul in their name": "<block\0quote>" * 70 + "x<br>" * 40_000,
    "quotations in a caption": "<table><caption>" + "<blockquote>" * QUOTES + LINES,
    "emphasis": "<em>" * QUOTES + "<p>x</p>" * 10_000,
    "emphasis of both kinds": "<em></i>" * QUOTES + "<p>x</p>" * 10_000,
    "lists": "<ul><li>" * QUOTES + LINES,
    "lists that begin late": "<ol start=99999999999999999><li>" * QUOTES + LINES,
    "quotations of lists": "<blockquote><ul><li>" * 150 + LINES,
    "closed in comments": "<blockquote><!--</blockquote>-->" * QUOTES + LINES,
    "closed in a comment of its own kind": "<blockquote><!--></blockquote-->" * QUOTES + LINES,
    "closed in scripts": "<blockquote><script></blockquote></script>" * QUOTES + LINES,
    "closed in an attribute": "<blockquote><b title='</blockquote>'></b>" * QUOTES + LINES,
    "closed in a declaration": "<blockquote><?</blockquote>" * QUOTES + LINES,
    "closed inside an object": "<blockquote><object></blockquote>" * 100 + LINES * 4,
    "closed inside a caption": "<blockquote><table><caption></blockquote>" * 300 + LINES,
    "a wide table": WIDE + "<tr><td>x" * 10_000,
    "a wide table without rows": WIDE.replace("<tr>", "") + "<tbody><td>x" * 10_000,
    "a table of spans": "<table><tr>" + "<td colspan=1000>x" * 20 + "<tr><td>x" * 10_000,
    "a table of stairs": "<table>" + "".join(CELLS) + "<tr><td>x" * 10_000,
    "a wide table in quotations": "<blockquote>" * 50 + WIDE + "<tr><td>x" * 1_000,
}
CHILD = """
import resource, sys
from literesearcher.reading.html_text import html_to_text
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000,) * 2)
source = sys.stdin.buffer.read().decode()
print(len(html_to_text(source)[0]))
"""


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_read_in_little_memory(source):
    """A converter that runs out of memory ends its process, so this is a process of its own."""
    child = subprocess.run([sys.executable, "-c", CHILD], input=source.encode(), capture_output=True, timeout=60)
    assert child.returncode == 0, child.stderr[-500:]
    assert 1_000 < int(child.stdout) <= 10 * len(source) + 1_000_000


@pytest.mark.parametrize(
    "name", ["quotations", "emphasis", "lists", "a wide table", "closed inside an object", "a table of stairs"]
)
def test_what_is_too_deep_loses_its_marks_and_none_of_its_words(name):
    source = BOMBS[name].replace("x", "word ")
    bounded = bounded_html(source)
    assert len(bounded) < len(source) + 10 * 30_000
    assert bounded.count("word ") == source.count("word ")
    assert html_to_text(source)[0].count("word") == source.count("word")


def test_some_depth_is_left_where_the_page_has_too_much():
    text, _ = html_to_text("<blockquote>" * QUOTES + LINES)
    assert text.startswith("> > > > > ")
    assert text.count(">") < 40 * 10_000


def test_words_of_a_table_that_is_too_wide_stay_apart():
    text, _ = html_to_text(f"before{WIDE}" + "<tr><td>one<td>two" * 10_000 + "</table>after")
    assert "one two" in " ".join(text.split())
    assert "twoone" not in text
    assert text.startswith("before")
    assert text.endswith("after")


ORDINARY = {
    "a thread of quotations": "<div class=post><blockquote>a<blockquote>b</blockquote></blockquote><p>c</div>" * 3_000,
    "a mail quoted twelve times": "<blockquote>" * 12 + "line of the mail<br>" * 500 + "</blockquote>" * 12,
    "a table of numbers": "<table>" + ("<tr>" + "<td>12</td>" * 12 + "</tr>") * 3_000 + "</table>",
    "empty cells": "<table>" + ("<tr>" + "<td></td>" * 30 + "</tr>") * 1_000 + f"<tr><td>{'y' * 200}</tr></table>",
    "tables of links": "<table>" + "<tr><td><a href=/x>a link</a><td>b</tr>" * 5_000 + "</table>",
    "spanned rows": "<table>" + "<tr><th rowspan=3>a<td>b</tr><tr><td>c</tr><tr><td>d</tr>" * 2_000 + "</table>",
    "a spanning title": "<table><tr><td colspan=100>T</tr>" + "<tr><td>a name</td><td>2</td></tr>" * 2_000 + "</table>",
    "layout in tables": "<table><tr><td>" * 8 + "<p>words of a page</p>" * 2_000 + "</td></tr></table>" * 8,
    "many italics": "<p><i>a</i> and <em>b</em> of <i>c</i></p>" * 10_000,
    "italics without an end": "<p><i>a word<p>more words of the paragraph, and then some" * 30,
    "an outline": ("<ul><li>a" * 7 + "</ul>" * 7) * 500,
    "a long list": "<ol start=100000>" + "<li>entry" * 5_000 + "</ol>",
    "markup in a script": "<script>x = '" + "<blockquote>" * 2_000 + "'</script>" + "<p>words</p>" * 2_000,
    "markup in a comment": "<!--" + "<ul><li>" * 2_000 + "-->" + "<p>words</p>" * 2_000,
}


@pytest.mark.parametrize("source", ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_page_stays_as_it_is(source):
    assert bounded_html(source) is source


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "source",
    [
        "<blockquote " + "a='" * 300_000,
        "<i>" * 2_000 + "<!--" * 200_000,
        "<i>" * 2_000 + "<" * 1_000_000,
        "<i>" * 2_000 + "<script>" * 100_000,
        "<i>" * 2_000 + "<?" * 300_000,
        "<i>" * 2_000 + "<a " + "=" * 1_000_000,
        "<table>" * 100_000 + "<blockquote>" * 50_000,
        "<table>" + "<tr><td rowspan=999999999 colspan=999999999>x" * 20_000,
    ],
    ids=["quotes", "comments", "angles", "scripts", "declarations", "equals", "borders", "spans"],
)
def test_a_scan_takes_time_in_proportion(source):
    """Quadratic work would take many minutes."""
    bounded_html(source)


def test_a_base_that_would_be_repeated_too_often_is_none():
    long = "https://a.example/" + "d" * 20_000 + "/"
    few, many = "<a href=x>y</a>" * 10, "<a href=x>y</a>" * 10_000
    assert bounded_base(few, long) == long
    assert bounded_base(many, "https://a.example/dir/page") == "https://a.example/dir/page"
    assert bounded_base(many, long) is None
    assert bounded_base(many, None) is None
    text, _ = html_to_text(many.upper(), long)
    assert len(text) < 1_000_000
    assert text.count("Y") == 10_000
