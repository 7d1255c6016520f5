"""Writing: what may be done to the index while its writer is held. Nothing of it is seen before the commit.

Refuses to know: locks and commits (`corpus.storage`), files (`corpus.ingestion`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import tantivy

from literesearcher.corpus import schema
from literesearcher.corpus.records import CorpusInfo, Record


class Writing:
    """One uncommitted change of the index."""

    def __init__(self, writer: tantivy.IndexWriter, guarded: Callable[[], AbstractContextManager[None]]) -> None:
        self._writer = writer
        self._guarded = guarded

    def add(self, record: Record, *, scope: str, corpus: str, source: str) -> None:
        """Put a page in, in place of the one of the same URL in the same corpus."""
        with self._guarded():
            self._writer.delete_documents_by_term("key", schema.page_key(scope, corpus, record.url))
            self._writer.add_document(schema.document(record, scope=scope, corpus=corpus, source=source))

    def put_info(self, info: CorpusInfo, *, scope: str) -> None:
        """Say what a corpus is, in place of what was said before."""
        key = schema.page_key(scope, info.name, "info")
        made = tantivy.Document()
        for name, value in (
            ("kind", "info"),
            ("key", key),
            ("scope", scope),
            ("corpus", schema.corpus_key(scope, info.name)),
        ):
            made.add_text(name, value)
        made.add_bytes("text", json.dumps(info.stored()).encode())
        with self._guarded():
            self._writer.delete_documents_by_term("key", key)
            self._writer.add_document(made)

    def remove_source(self, source: str) -> None:
        """Take out the pages that one `add` put in."""
        with self._guarded():
            self._writer.delete_documents_by_term("source", source)

    def remove_corpus(self, *, scope: str, corpus: str) -> None:
        """Take out a corpus, its pages and its entry in the list."""
        with self._guarded():
            self._writer.delete_documents_by_term("corpus", schema.corpus_key(scope, corpus))
