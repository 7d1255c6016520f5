"""LocalCorpus: the `Corpus` port over the local index. Any text is a valid query.

How a query is read: its words, stemmed, in page bodies and, worth more, in titles; its identifiers whole and in
parts (`heapq.merge`, `merge`); its CJK runs as pairs of characters. Equal scores are ordered by URL, so that the same
index gives the same answer twice. Refuses to know: ingestion, formats. Below: `corpus.storage`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import tantivy

from literesearcher.corpus.port import Hit, Page
from literesearcher.corpus.schema import apart, head_term, place_key, scopes_of
from literesearcher.corpus.storage import Storage
from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.research import passages
from literesearcher.research.words import CJK_RUN, STOP_WORDS, dotted_names, identifier_parts, pairs

SNIPPET_CHARS = 300
_SNIPPET_READS = 12_000
"""Characters of a page that a snippet is chosen from."""
_QUERY_CHARS = 2_000
_QUERY_TERMS = 48
_TITLE_BOOST = 2.0
_NAME_BOOST = 3.0
_HEAD_BOOST = 2.0
"""For the page of the very thing that the query names, before pages that are about it."""


class LocalCorpus:
    """Search and pages of the corpora under one directory, for the tenant asked for and what is public."""

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self._storage = Storage(Path(directory), read_only=read_only)

    async def search(self, query: str, *, limit: int = 10, tenant_id: str | None = None) -> list[Hit]:
        """Best pages for the query, [] when nothing matches. `BoundaryError` `corpus_broken`, `corpus_format`."""
        return await asyncio.to_thread(self._search, query, limit, scopes_of(tenant_id))

    async def page(self, url: str, *, tenant_id: str | None = None) -> Page | None:
        """The page stored under `url`, None when there is none for this tenant."""
        return await asyncio.to_thread(self._page, url, scopes_of(tenant_id))

    async def aclose(self) -> None:
        """Let the reader go."""
        self._storage.forget()

    def _search(self, query: str, limit: int, scopes: list[str]) -> list[Hit]:
        asked = self._query(query[:_QUERY_CHARS])
        if asked is None or limit < 1:
            return []
        searcher = self._storage.searcher()
        if searcher is None:
            return []
        schema = self._storage.schema
        mine = tantivy.Query.const_score_query(tantivy.Query.term_set_query(schema, "scope", scopes), 0.0)
        both = tantivy.Query.boolean_query([(tantivy.Occur.Must, mine), (tantivy.Occur.Must, asked)])
        hits: list[Hit] = []
        seen: set[str] = set()
        with self._storage.guarded():
            found = []
            for score, address in searcher.search(both, limit + 16, count=False).hits:
                document = searcher.doc(address)
                url = str(document.get_first("url") or "")
                found.append((round(float(score), 5), url, document))
            found.sort(key=lambda item: (-item[0], item[1]))
            for score, url, document in found:
                if url in seen or len(hits) == limit:
                    continue
                seen.add(url)
                title = str(document.get_first("title") or "")
                text = bytes(document.get_first("text") or b"").decode()
                hits.append(Hit(url=url, title=title, snippet=_snippet(text, title, query), score=score))
        return hits

    def _page(self, url: str, scopes: list[str]) -> Page | None:
        searcher = self._storage.searcher()
        if searcher is None:
            return None
        for scope in scopes:
            query = tantivy.Query.term_query(
                self._storage.schema, "place", place_key(scope, valid_unicode(url)), "basic"
            )
            with self._storage.guarded():
                found = searcher.search(query, 1, count=False).hits
                if found:
                    document = searcher.doc(found[0][1])
                    return Page(
                        url=str(document.get_first("url") or url),
                        title=str(document.get_first("title") or ""),
                        text=bytes(document.get_first("text") or b"").decode(),
                    )
        return None

    def _query(self, text: str) -> tantivy.Query | None:
        """The query as a tree of terms, never parsed: no character has a meaning of its own. None without a term."""
        text = valid_unicode(text)
        words = list(dict.fromkeys(self._storage.analyzer.analyze(apart(text))))
        kept = [word for word in words if word not in STOP_WORDS] or words
        schema = self._storage.schema
        parts: list[tuple[tantivy.Occur, tantivy.Query]] = []

        def should(field: str, term: str, boost: float = 1.0) -> None:
            query = tantivy.Query.term_query(schema, field, term, "freq")
            parts.append((tantivy.Occur.Should, tantivy.Query.boost_query(query, boost) if boost != 1.0 else query))

        for word in kept[:_QUERY_TERMS]:
            should("body", word)
            should("heading", word, _TITLE_BOOST)
        for name in dotted_names(text)[:_QUERY_TERMS]:
            if name.lower() not in STOP_WORDS:
                whole = identifier_parts(name)[0]
                should("names", whole, _NAME_BOOST if "." in name or "_" in name else 1.0)
                should("names", head_term(name), _HEAD_BOOST)
        for run in CJK_RUN.findall(text):
            for pair in dict.fromkeys(pairs(run)[:_QUERY_TERMS]):
                should("cjk", pair, 1.5)
        return tantivy.Query.boolean_query(parts) if parts else None


def _snippet(text: str, title: str, query: str) -> str:
    """Plain text of at most 300 characters: the best passage for the query, without a heading that is the title."""
    head = text[:_SNIPPET_READS]
    pieces = passages.split(head)
    best = passages.rank(pieces, query, 1)
    chosen = best[0][2] if best else (pieces[0] if pieces else "")
    lines = [line.strip().lstrip("#>*- ").replace("`", "") for line in chosen.splitlines()]
    name = title.split(" — ")[0].strip()
    body = [line for line in lines if line and not line.startswith(("```", "~~~")) and line not in (name, title)]
    return passages.shorten(" ".join(body), SNIPPET_CHARS)
