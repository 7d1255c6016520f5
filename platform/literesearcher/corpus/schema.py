"""What a page looks like in the index: fields, tokenisers, and the keys by which pages are found again.

Owns: everything that a change of makes old indexes unreadable; then `SCHEMA` rises.
Refuses to know: directories, locks, queries. Above: `corpus.storage`, `corpus.writing`, `corpus.index`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import tantivy

from literesearcher.corpus.records import PUBLIC, Record
from literesearcher.research.words import CJK_RUN, compounds, identifier_parts, pairs

SCHEMA = 1
"""Rises when fields or tokenisers change; a directory says which one it was written with."""

_NAMES_CHARS = 200_000
_CJK_CHARS = 400_000
"""How much of a page is read for identifiers and for CJK pairs; its words are all read."""


def build() -> tantivy.Schema:
    """`raw` fields are keys; `heading`, `body`, `names` and `cjk` are searched; `text` is the page store."""
    builder: Any = tantivy.SchemaBuilder()
    for name in ("kind", "key", "place", "scope", "corpus", "source"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ("url", "title"):
        builder.add_text_field(name, stored=True, tokenizer_name="raw", index_option="basic")
    for name in ("heading", "body"):
        builder.add_text_field(name, tokenizer_name="lr_words", index_option="freq")
    for name in ("names", "cjk"):
        builder.add_text_field(name, tokenizer_name="lr_spaces", index_option="freq")
    builder.add_bytes_field("text", stored=True)
    schema: tantivy.Schema = builder.build()
    return schema


def analyzer() -> tantivy.TextAnalyzer:
    """Words: split at everything that is no letter or digit (so `read_csv` is two), folded, English stems."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(80))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


def register(index: tantivy.Index) -> None:
    """Give an opened index its tokenisers: tantivy stores their names only."""
    index.register_tokenizer("lr_words", analyzer())
    spaces = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).filter(tantivy.Filter.remove_long(160))
    index.register_tokenizer("lr_spaces", spaces.build())


def document(record: Record, *, scope: str, corpus: str, source: str) -> tantivy.Document:
    """A page as it is indexed and stored."""
    tail = url_tail(record.url)
    indexed = record.text if record.indexed is None else record.indexed
    made = tantivy.Document()
    for name, value in (
        ("kind", "page"),
        ("key", page_key(scope, corpus, record.url)),
        ("place", place_key(scope, record.url)),
        ("scope", scope),
        ("corpus", corpus_key(scope, corpus)),
        ("source", source),
        ("url", record.url),
        ("title", record.title),
        ("heading", apart(_heading(record.title, tail))),
        ("body", apart(indexed)),
        ("names", " ".join([*_heads(record.title), *_names(f"{record.title} {tail} {indexed[:_NAMES_CHARS]}")])),
        ("cjk", " ".join(_cjk(f"{record.title} {indexed[:_CJK_CHARS]}"))),
    ):
        made.add_text(name, value)
    made.add_bytes("text", record.text.encode())
    return made


def page_key(scope: str, corpus: str, url: str) -> str:
    """Identity of a page within its corpus."""
    return _digest(scope, corpus, url)


def place_key(scope: str, url: str) -> str:
    """Identity of a URL within a scope, over all its corpora."""
    return _digest(scope, url)


def corpus_key(scope: str, corpus: str) -> str:
    """Identity of a corpus."""
    return _digest(scope, corpus)


def scopes_of(tenant_id: str | None) -> list[str]:
    """What a tenant may read: its own pages, then what is public."""
    return [scope_of(tenant_id), PUBLIC]


def scope_of(tenant_id: str | None) -> str:
    """The scope that a tenant writes to: `default` is the tenant of a platform without keys, `*` is everybody."""
    return PUBLIC if tenant_id == PUBLIC else f"t:{tenant_id or 'default'}"


def apart(text: str) -> str:
    """The text with CJK runs set apart from the Latin words that they touch; most texts come back as they are."""
    return text if text.isascii() else CJK_RUN.sub(lambda run: f" {run.group()} ", text)


def url_tail(url: str) -> str:
    """The part of a URL that may name its page: after the last slash, without the built-in corpus's scheme."""
    return url.rstrip("/").rsplit("/", 1)[-1].removeprefix("pydoc:")


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def _heading(title: str, tail: str) -> str:
    """What is searched as a title: each name once, and the parts of names (`JSON` of `JSONDecodeError`)."""
    heading = title if tail in title else f"{title} {tail}"
    shown = heading.lower().replace(".", " ").replace("_", " ").split()
    return " ".join([heading, *(part for part in _names(tail) if part.isalnum() and part not in shown)])


def head_term(name: str) -> str:
    """The term of pages whose title is this one name (or begins with it and a dash): not mentions, the thing itself."""
    return f"={name.lower()}"


def _heads(title: str) -> list[str]:
    head = title.partition(" — ")[0].strip()
    if not head or len(head) > 120 or any(char.isspace() for char in head):
        return []
    return list(dict.fromkeys((head_term(head), head_term(head.rsplit(".", 1)[-1]))))


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(part for name in compounds(text) for part in identifier_parts(name)))


def _cjk(text: str) -> list[str]:
    """Pairs of characters, and each character too, so that a query of one character finds its pages."""
    if text.isascii():
        return []
    found: list[str] = []
    for run in CJK_RUN.findall(text):
        found.extend(pairs(run))
        if len(run) > 1:
            found.extend(run)
    return found
