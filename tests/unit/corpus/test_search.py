"""Search and pages of the local index: any query is valid, names and CJK are found, tenants are apart."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from literesearcher.corpus.index import LocalCorpus
from literesearcher.corpus.library import Library

NOTES = {
    "canberra.md": "# Canberra\n\nCanberra is the capital of Australia. It was founded in 1913.",
    "sydney.md": "# Sydney\n\nSydney is the largest city of Australia, famous for its opera house.",
    "deep/parsing.md": "# Parsing\n\nUse the `read_csv` function or `HttpClient.parseBody` to load tables.",
    "beijing.md": "# 北京\n\n北京是中国的首都，人口两千多万。Python函数在这里。",
    "cafe.txt": "A café in Zürich.",
}


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    for name, text in NOTES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    Library(tmp_path / "corpus").add(folder, "notes")
    return tmp_path / "corpus"


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("capital of Australia", "canberra.md"),
        ("cities famous for operas", "sydney.md"),
        ("read_csv", "deep/parsing.md"),
        ("csv", "deep/parsing.md"),
        ("parsebody", "deep/parsing.md"),
        ("HttpClient", "deep/parsing.md"),
        ("中国的首都", "beijing.md"),
        ("京", "beijing.md"),
        ("python", "beijing.md"),
        ("cafe zurich", "cafe.txt"),
    ],
)
async def test_the_right_page_comes_first(notes, query, page):
    corpus = LocalCorpus(notes)
    hits = await corpus.search(query)
    assert hits[0].url == f"corpus:notes/{page}"
    assert 0 < len(hits[0].snippet) <= 300
    found = await corpus.page(hits[0].url)
    assert found is not None
    assert found.text == NOTES[page]
    await corpus.aclose()
    await corpus.aclose()


async def test_what_matches_nothing_gives_nothing(notes):
    corpus = LocalCorpus(notes)
    for query in ("", "   ", "zzzzqqq", "?!*()[]{}^~:\"'\\/+-&&||", "\0", "\ud800", "." * 5000):
        assert [hit.url for hit in await corpus.search(query)] == []
    assert await corpus.search("Australia", limit=0) == []
    assert await corpus.page("corpus:notes/none.md") is None
    assert await corpus.page("\ud800" * 10_000) is None


@given(query=st.text(max_size=200))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_query_is_valid(notes, query):
    for hit in await LocalCorpus(notes).search(query + " Australia", limit=3):
        assert hit.url.startswith("corpus:notes/")


async def test_limits_and_order_are_the_same_each_time(notes):
    corpus = LocalCorpus(notes)
    first = await corpus.search("Australia capital city", limit=2)
    assert len(first) == 2
    assert first == await LocalCorpus(notes).search("Australia capital city", limit=2)
    assert first[0].score >= first[1].score


async def test_a_corpus_is_its_tenants_own(notes, tmp_path):
    secret = tmp_path / "secret.md"
    secret.write_text("# Plans\n\nThe zebra lands on Tuesday.", encoding="utf-8")
    library, corpus = Library(notes), LocalCorpus(notes)
    library.add(secret, "plans", tenant_id="acme")
    url = "corpus:plans/secret.md"
    assert [hit.url for hit in await corpus.search("zebra", tenant_id="acme")] == [url]
    assert await corpus.page(url, tenant_id="acme") is not None
    for other in (None, "default", "acme2", "", "t:acme", "*"):
        assert await corpus.search("zebra", tenant_id=other) == []
        assert await corpus.page(url, tenant_id=other) is None
        assert "plans" not in [info.name for info in library.names(tenant_id=other)]
    assert await corpus.search("Australia", tenant_id="acme") == []


async def test_a_directory_without_an_index_is_empty(tmp_path):
    corpus = LocalCorpus(tmp_path / "none")
    assert await corpus.search("anything") == []
    assert await corpus.page("pydoc:heapq") is None
