"""`literesearcher jobs replay`: its line, its diffs, its JSON, its exit codes, and files that are no journals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from literesearcher.cli.job_replay import as_object, diff, told
from literesearcher.cli.main import run
from literesearcher.research.replaying import Divergence, Replay

GOLDEN = Path(__file__).parents[2] / "data" / "journals" / "first_schema.jsonl"


def lines() -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in GOLDEN.read_bytes().splitlines()]


def written(tmp_path: Path, events: list[Any]) -> Path:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"\n".join(one if isinstance(one, bytes) else orjson.dumps(one) for one in events))
    return path


def test_the_same_decisions_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "replay", "--file", str(GOLDEN)]) == 0
    assert capsys.readouterr().out == "4 turns, 2 tool calls, same decisions\n"


def test_a_forged_call_is_shown_as_a_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = lines()
    index = next(at for at, event in enumerate(events) if event["type"] == "tool.started")
    events[index]["data"]["arguments"]["query"][1] = "forged"
    assert run(["jobs", "replay", "--file", str(written(tmp_path, events))]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"event {index + 1}, tool.started: the machine decides otherwise"
    assert out[1:3] == [f"--- journal, event {index + 1}", f"+++ replay, event {index + 1}"]
    assert '-      "forged"' in out
    assert '+      "Inner Light Marn 1931"' in out


def test_a_forged_text_is_shown_where_it_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = lines()
    index = next(at for at, event in enumerate(events) if event["type"] == "tool.completed")
    text = events[index]["data"]["text"]
    events[index]["data"]["text"] = text.replace("Three lights", "Three\u202e lights\x1b[31m")
    path = written(tmp_path, events)
    assert run(["jobs", "replay", "--file", str(path)]) == 1
    out = capsys.readouterr().out
    assert f"event {index + 1}, tool.completed: the text does not follow from the call's parts" in out
    assert "-Three\\u202e lights\\x1b[31m stand on the cape" in out
    assert "+Three lights stand on the cape" in out
    assert "\x1b" not in out
    assert run(["jobs", "replay", "--json", "--file", str(path)]) == 1
    value = orjson.loads(capsys.readouterr().out)
    assert (value["job"], value["same"], value["ended"]) == ("job_01first", False, True)
    assert value["divergences"][0]["recorded"] == events[index]["data"]["text"]
    assert value["divergences"][0]["replayed"] == text


def test_json_of_a_clean_replay(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "replay", "--json", "--file", str(GOLDEN)]) == 0
    value = orjson.loads(capsys.readouterr().out)
    assert value == {
        "job": "job_01first",
        "same": True,
        "ended": True,
        "turns": 4,
        "tool_calls": 2,
        "last_seq": 19,
        "divergences": [],
    }


def test_a_job_that_has_not_ended_is_replayed_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, lines()[:9])
    assert run(["jobs", "replay", "--file", str(path)]) == 2
    assert "has not ended" in (said := capsys.readouterr().err)
    assert "--partial" in said
    assert run(["jobs", "replay", "--partial", "--file", str(path)]) == 0
    assert capsys.readouterr().out == "2 turns, 1 tool call, same decisions so far (the job has not ended)\n"


def row(**fields: Any) -> bytes:
    event = {"type": "turn.started", "version": 1, "job": "job_01first", "seq": 2, "at": "2026-01-02T00:00:00Z"}
    return orjson.dumps({**event, "data": {}, **fields})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"not JSON", "line 2"),
        (b"[]", "line 2"),
        (b"{}", "line 2"),
        (b'"text"', "line 2"),
        (b"\xff\xfe", "line 2"),
        (row(data=7), "line 2"),
        (row(at="nowhen"), "line 2"),
        (row(), "line 2"),
        (row(version=99), "newer"),
        (row(type="made.up"), "newer"),
    ],
)
def test_a_file_that_is_no_journal_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: bytes, words: str
) -> None:
    path = written(tmp_path, [lines()[0], line])
    assert run(["jobs", "replay", "--file", str(path)]) == 2
    assert words in capsys.readouterr().err


def test_files_that_cannot_be_replayed_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"\n\n")
    several = written(tmp_path, [*lines(), lines()[0] | {"job": "job_02"}])
    for path, words in ((empty, "no events"), (several, "several jobs"), (tmp_path / "absent", "cannot be read")):
        assert run(["jobs", "replay", "--file", str(path)]) == 2
        assert words in capsys.readouterr().err
    assert run(["jobs", "replay"]) == 2
    assert run(["jobs", "replay", "job_1", "--file", str(GOLDEN)]) == 2


def test_damaged_values_are_a_divergence_and_no_traceback(tmp_path: Path) -> None:
    for name, value in (
        ("items", [{"kind": "page"}]),
        ("arguments", [1]),
        ("text", None),
        ("turn", "x"),
        ("tokens", "y"),
    ):
        events = lines()
        index = next(at for at, event in enumerate(events) if event["type"] == "tool.completed")
        events[index]["data"][name] = value
        assert run(["jobs", "replay", "--file", str(written(tmp_path, events))]) in (1, 2), name


def test_a_diff_of_long_texts_shows_where_they_part() -> None:
    text = "".join(f"line {number}\n" for number in range(60_000)) + "x" * 100_000
    found = "\n".join(diff(Divergence(7, "tool.completed", "w", text, text.replace("line 30000\n", "line ?\r\n"))))
    assert "-line 30000" in found
    assert "+line ?\\r" in found
    assert len(found) < 1_000
    shifted = "\n".join(diff(Divergence(7, "tool.completed", "w", text, text[:-50_000] + "y" + text[-49_999:])))
    assert "y" in shifted
    assert len(shifted) < 2_000


def test_many_divergences_are_counted_and_the_first_shown() -> None:
    found = Replay([Divergence(seq, "turn.started", "w", f"{seq}", "") for seq in range(1, 41)], last_seq=40)
    said = list(told(found))
    assert sum(line.startswith("event ") for line in said) == 5
    assert said[-2:] == ["... and 35 more divergences, see --json", "40 divergences up to event 40"]
    assert len(as_object("job", found)["divergences"]) == 40
