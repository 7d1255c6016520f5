"""Corpora by manifest: what is listed is there, for whom it says, and nothing is half done."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from literesearcher.corpus.index import LocalCorpus
from literesearcher.corpus.library import Library
from literesearcher.corpus.manifest import build, digest_of
from literesearcher.errors import CallerError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in (("rules", "Wombats dig on Tuesdays."), ("secrets", "The lemur knows the code.")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "note.md").write_text(f"# {name}\n\n{text}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def library(place: Path) -> Library:
    return Library(place / "corpus")


def listed(place: Path, *corpora: object) -> Path:
    file = place / "manifest.json"
    file.write_text(json.dumps({"corpora": list(corpora)}), encoding="utf-8")
    return file


def found(library: Library, query: str, tenant: str | None) -> list[str]:
    return [hit.url for hit in asyncio.run(LocalCorpus(library.directory).search(query, tenant_id=tenant))]


RULES = {"name": "rules", "path": "rules", "tenant": "*"}
SECRETS = {"name": "secrets", "path": "secrets", "tenant": "acme"}


def test_each_corpus_is_its_tenants_or_everybodys(place, library):
    done = build(library, listed(place, RULES, SECRETS))
    assert [(report.name, report.pages) for report in done.built] == [("rules", 1), ("secrets", 1)]
    for tenant in ("acme", "other", None):
        assert found(library, "wombats", tenant) == ["corpus:rules/note.md"]
    assert found(library, "lemur", "acme") == ["corpus:secrets/note.md"]
    assert found(library, "lemur", "other") == []
    assert found(library, "lemur", "*") == []
    names = [(info.name, info.public) for info in library.names(tenant_id="acme")]
    assert names == [("rules", True), ("secrets", False)]


def test_what_is_unchanged_is_kept_and_what_is_not_listed_goes(place, library):
    build(library, listed(place, RULES, SECRETS))
    (place / "rules" / "note.md").write_text("# rules\n\nWombats rest.\n", encoding="utf-8")
    done = build(library, listed(place, RULES, SECRETS))
    assert ([report.name for report in done.built], done.kept) == (["rules"], ["secrets"])
    assert found(library, "rest", None) == ["corpus:rules/note.md"]
    assert found(library, "tuesdays", None) == []
    done = build(library, listed(place, RULES))
    assert (done.kept, done.removed) == (["rules"], ["secrets"])
    assert found(library, "lemur", "acme") == []


def test_what_was_added_by_hand_is_let_be(place, library):
    library.add(place / "secrets", "mine", tenant_id="acme")
    build(library, listed(place, RULES))
    assert found(library, "lemur", "acme") == ["corpus:mine/note.md"]
    with pytest.raises(CallerError, match="added by hand") as caught:
        build(library, listed(place, {"name": "mine", "path": "rules", "tenant": "acme"}))
    assert caught.value.field == "corpora.0.name"
    assert found(library, "wombats", None) == ["corpus:rules/note.md"], "nothing was changed"


def test_two_machines_with_the_same_files_have_the_same_digest_and_another_file_another(place, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "note.md").write_bytes((place / "rules" / "note.md").read_bytes())
    assert digest_of(other) == digest_of(place / "rules")
    (other / "note.md").rename(other / "renamed.md")
    assert digest_of(other) != digest_of(place / "rules")


def test_a_digest_that_is_named_is_checked(place, library):
    good = digest_of(place / "rules")
    assert build(library, listed(place, RULES | {"sha256": good.upper()})).built
    with pytest.raises(CallerError) as caught:
        build(library, listed(place, RULES | {"sha256": "0" * 64}))
    assert caught.value.field == "corpora.0.sha256"
    assert good in caught.value.message


@pytest.mark.parametrize(
    ("corpora", "field"),
    [
        ([{"name": "rules"}], "corpora.0"),
        ([RULES, RULES], "corpora.1.name"),
        ([RULES | {"typo": "x"}], "corpora.0"),
        ([RULES | {"name": "No Name"}], "corpora.0.name"),
        ([RULES | {"name": "pydoc"}], "corpora.0.name"),
        ([RULES, SECRETS | {"path": "nowhere"}], "corpora.1.path"),
        ([RULES | {"tenant": ""}], "corpora.0.tenant"),
        ([RULES | {"tenant": "x" * 65}], "corpora.0.tenant"),
        ([RULES | {"path": 7}], "corpora.0.path"),
        ([7], "corpora.0"),
    ],
)
def test_a_wrong_entry_is_named_and_nothing_is_changed(place, library, corpora, field):
    with pytest.raises(CallerError) as caught:
        build(library, listed(place, *corpora))
    assert caught.value.field == field
    assert found(library, "wombats", None) == []


def test_an_entry_without_a_page_changes_nothing(place, library):
    (place / "empty").mkdir()
    with pytest.raises(CallerError, match="no page"):
        build(library, listed(place, RULES, {"name": "empty", "path": "empty"}))
    assert found(library, "wombats", None) == []


@pytest.mark.parametrize("text", ["", "[]", '{"corpora": {}}', '{"corpora": [], "x": 1}', "[" * 100_000])
def test_what_is_no_manifest_is_said(place, library, text):
    file = place / "manifest.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CallerError):
        build(library, file)
    with pytest.raises(CallerError, match="No such file"):
        build(library, place / "nowhere.json")
