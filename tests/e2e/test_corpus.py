"""One's own documents beside the built-in corpus."""

from __future__ import annotations

import gzip
import json


async def test_an_added_document_answers_a_question_until_it_is_removed(program):
    notes = program.home / "notes"
    notes.mkdir()
    (notes / "zorblatt.md").write_text(
        "# Zorblatt protocol\n\nThe Zorblatt protocol was designed by Ada Quimby in 1987 for exchanging tide tables "
        "between lighthouse keepers over telegraph lines.\n"
    )
    added = await program.run("corpus", "add", str(notes))
    assert added.code == 0, added.err
    listed = await program.run("corpus", "list")
    assert "notes" in listed.out
    asked = await program.run("research", "--json", "Who designed the Zorblatt protocol?")
    assert asked.code == 0, asked.err
    job = json.loads(asked.out)
    assert "Ada Quimby" in job["output"]["text"]
    assert job["output"]["citations"][0]["url"] == "corpus:notes/zorblatt.md"

    removed = await program.run("corpus", "remove", "notes")
    assert removed.code == 0
    assert "notes" not in (await program.run("corpus", "list")).out
    assert (await program.run("research", "Who designed the Zorblatt protocol?")).code == 1


async def test_broken_lines_are_counted_and_named_and_the_rest_goes_in(program):
    good = {
        "id": "1",
        "text": "The Quux falls are 312 metres high.",
        "metadata": {"title": "Quux", "url": "http://q/1"},
    }
    with gzip.open(program.home / "records.jsonl.gz", "wb") as file:
        file.write(json.dumps(good).encode() + b"\n{broken\n" + b'{"no": "text"}\n')
    added = await program.run("corpus", "add", "records.jsonl.gz")
    assert added.code == 0, added.err
    told = added.out + added.err
    assert "2 broken lines" in told
    assert "line 2" in told
    assert "line 3" in told
    found = await program.run("tools", "search", "Quux falls metres high")
    assert "http://q/1" in found.out


async def test_doctor_says_what_there_is_and_hides_secrets(program):
    program.settings["SERPER_KEY_ID"] = "hunter2"
    program.settings["LITERESEARCHER_TOOLS__SEARCH"] = '["local"]'
    program.settings["LITERESEARCHER_TOOLS__PAGES"] = '["local"]'
    ended = await program.run("doctor")
    assert ended.code == 0, ended.out + ended.err
    assert "hunter2" not in ended.out + ended.err
    assert "LITERESEARCHER_SERPER__API_KEY=****" in ended.out
    assert "25 of 25" in ended.out
    assert "All that is configured works" in ended.out


async def test_doctor_names_what_is_broken_and_what_to_do(program):
    program.settings["LITERESEARCHER_ENGINE__BASE_URL"] = "http://127.0.0.1:9/v1"
    ended = await program.run("doctor")
    assert ended.code == 1
    line = next(line for line in ended.out.splitlines() if " engine " in line)
    assert line.strip().startswith("!!")
    assert "LITERESEARCHER_ENGINE__BASE_URL" in ended.out
