"""JSON, XML and feeds laid out, and documents that attack their parser."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from literesearcher.reading.data_text import looks_like_data, readable_data

RSS = """<?xml version="1.0" encoding="windows-1251"?>
<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://my.netscape.com/publish/formats/rss.dtd">
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>Harbour &amp; pier</title><description>News&nbsp;of the harbour</description>
<item><title>The &lt;b&gt;new&lt;/b&gt; pier</title>
<link>https://a.example/1</link><pubDate>Mon, 06 May 2024 07:00:00 GMT</pubDate>
<dc:creator>A. Writer</dc:creator><description>Short.</description>
<content:encoded><![CDATA[<p>The <b>pier</b> &amp; its <a href="/x">master</a></p>]]></content:encoded></item>
<item><title>Second</title><guid>https://a.example/2</guid></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Harbour</title><subtitle>News</subtitle>
<entry><title type="html">One &amp;amp; two</title><link rel="self" href="https://a.example/self"/>
<link href="https://a.example/1"/><published>2024-05-06T07:00:00Z</published><updated>2024-05-07T07:00:00Z</updated>
<author><name>A. Writer</name></author><summary>Short</summary>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Boats <i>came</i>.</div></content></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="x"><title>Harbour</title></channel>
<item rdf:about="y"><title>One</title><link>https://a.example/1</link><dc:date>2024-05-06</dc:date></item></rdf:RDF>"""


def test_rss():
    assert readable_data(RSS) == (
        "# Harbour & pier\n\nNews of the harbour\n\n"
        "## [The **new** pier](https://a.example/1)\nDate: Mon, 06 May 2024 07:00:00 GMT\nBy: A. Writer\n\n"
        "The **pier** & its [master](/x)\n\n## [Second](https://a.example/2)"
    )


def test_atom_and_rdf():
    assert readable_data(ATOM) == (
        "# Harbour\n\nNews\n\n## [One & two](https://a.example/1)\nDate: 2024-05-06T07:00:00Z\nBy: A. Writer\n\n"
        "Boats came."
    )
    assert readable_data(RDF) == "# Harbour\n\n## [One](https://a.example/1)\nDate: 2024-05-06"


def test_a_json_feed():
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Harbour",
        "items": [{"url": "https://a.example/1", "title": "One", "content_html": "<p>Boats <b>came</b></p>"}],
    }
    assert readable_data(json.dumps(feed)) == "# Harbour\n\n## [One](https://a.example/1)\n\nBoats **came**"


def test_other_xml_is_an_outline():
    source = (
        '<?xml version="1.0"?><s:catalog xmlns:s="urn:s"><!-- no --><book id="b1" s:lang="en"><title>Piers</title>'
        "<note>Of <i>wood</i> &amp; stone</note><empty/></book></s:catalog>"
    )
    assert readable_data(source) == ("catalog\n  book (id=b1, lang=en)\n    title: Piers\n    note: Of wood & stone")


BILLION = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1 or str()};" * 10}">' for n in range(1, 10))
    + "]><lolz>&lol9;</lolz>"
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "source",
    [
        BILLION,
        '<!DOCTYPE r [<!ENTITY a "' + "a" * 50_000 + '">]><r>' + "&a;" * 50_000 + "</r>",
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
        '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:1/evil.dtd"> %p;]><r>x</r>',
        '<!DOCTYPE r [<!ENTITY x "y">]><r>plain</r>',
        '<!DOCTYPE r [<!NOTATION n SYSTEM "n"><!ENTITY u SYSTEM "u" NDATA n>]><r/>',
        "<a>" * 5_000 + "</a>" * 5_000,
        "<a>" + "<b/>" * 500_000 + "</a>",
        "<a><b></a>",
        "<a>&undefined_entity_of_nobody;</a>",
        "<rss><channel><title>x",
        "<?xml version='1.0'?>",
        "<html><body>x</body></html>",
        "<",
    ],
    ids=lambda source: source[:40],
)
def test_what_attacks_or_breaks_is_left_as_it_is(source):
    assert readable_data(source) is None


def test_an_external_dtd_is_named_and_never_fetched(tmp_path):
    secret = tmp_path / "secret.dtd"
    secret.write_text('<!ENTITY x "stolen">')
    source = f'<!DOCTYPE r SYSTEM "{secret.as_uri()}"><r><a>kept</a>&x;</r>'
    assert "stolen" not in (readable_data(source) or "")
    assert readable_data(f'<!DOCTYPE r SYSTEM "{secret.as_uri()}"><r><a>kept</a></r>') == "r\n  a: kept"


def test_json_keeps_every_literal_and_gets_lines():
    source = (
        '{"price": 1.10, "big": 123456789012345678901234567890, "tiny": 1e-400, "name": "\\u4e2d\\u56fd", '
        '"name": "two",'
        '"list": [1, 2, 3], "rows": [' + ", ".join('{"a": "' + "x" * 60 + '", "b": null}' for _ in range(20)) + "]}"
    )
    text = readable_data(source)
    assert text is not None
    lines = text.splitlines()
    assert lines[:6] == [
        "{",
        '  "price": 1.10,',
        '  "big": 123456789012345678901234567890,',
        '  "tiny": 1e-400,',
        '  "name": "中国",',
        '  "name": "two",',
    ]
    assert '  "list": [1, 2, 3],' in lines
    assert lines.count('    {"a": "' + "x" * 60 + '", "b": null},') == 19
    assert json.loads(text) == json.loads(source)


@pytest.mark.parametrize(
    "source",
    [
        '{"small": [1, {"x": 2}]}',
        json.dumps({"rows": [{"n": n} for n in range(500)]}, indent=2),
        "[1, 2" + ", 3" * 1_000,
        "[link](https://a.example/) " * 100,
        "{" * 2_000,
        "[" * 200_000 + "]" * 200_000,
        "[" * 60 + "1" + "]" * 60 + " " * 2_000,
        '{"a": NaNN}' + " " * 2_000,
        "# Heading",
        "",
    ],
    ids=lambda source: source[:20],
)
def test_json_that_is_small_laid_out_broken_or_none_stays(source):
    assert readable_data(source) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(value=values, pad=st.just("x" * 1_100))
def test_json_laid_out_means_the_same(value, pad):
    source = json.dumps({"value": value, "pad": pad})
    text = readable_data(source)
    assert text is not None
    assert json.loads(text) == json.loads(source)


def test_what_looks_like_data():
    assert all(map(looks_like_data, ("\ufeff {", "[1]", "<?xml ?>", "<rss>", "<feed>", "<rdf:RDF>")))
    assert not any(map(looks_like_data, ("", "text", "<html>", "# {")))
