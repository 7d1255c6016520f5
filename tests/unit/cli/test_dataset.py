"""Datasets: the published forms, and lines that cannot be used."""

import json
from pathlib import Path

import pytest

from literesearcher.cli.dataset import read_dataset
from literesearcher.errors import CallerError


def write(path: Path, *lines: object) -> Path:
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(raw))
    return path


def test_all_forms_are_read(tmp_path: Path):
    talk = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "no"},
        {"role": "user", "content": "two"},
    ]
    file = write(
        tmp_path / "d.jsonl",
        b'\xef\xbb\xbf{"question": "q1", "answer": "a1"}',
        b"",
        {"id": 7, "question": "q2", "answer": ["a", "b"]},
        {"id": "talk", "messages": talk, "answer": "a3"},
        {"question": "q1 again", "answer": None, "source": "ignored"},
    )
    items, broken = read_dataset(file)
    assert broken == []
    assert [(item.id[:2], item.line, item.asked) for item in items] == [
        ("q-", 1, "q1"),
        ("7", 3, "q2"),
        ("ta", 4, "two"),
        ("q-", 5, "q1 again"),
    ]
    assert items[1].answer == ["a", "b"]


def test_an_item_without_an_id_keeps_its_name_when_lines_move(tmp_path: Path):
    one = read_dataset(write(tmp_path / "a.jsonl", {"question": "x"}, {"question": "y"}))[0]
    two = read_dataset(write(tmp_path / "b.jsonl", {"question": "new"}, {"question": "y"}, {"question": "x"}))[0]
    assert {item.id for item in one} < {item.id for item in two}


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[1]",
        b'"text"',
        b'{"question": "\xff"}',
        {"question": ""},
        {"question": 3},
        {"answer": "a"},
        {"question": "q", "messages": []},
        {"messages": []},
        {"messages": [{"role": "user"}]},
        {"messages": "text"},
        {"id": ["x"], "question": "q"},
        {"id": True, "question": "q"},
        {"id": "good", "question": "a second one of that id"},
    ],
)
def test_a_broken_line_is_named_and_the_rest_goes_on(tmp_path: Path, line: object):
    file = write(tmp_path / "d.jsonl", {"id": "good", "question": "q"}, line, {"id": "last", "question": "r"})
    items, broken = read_dataset(file)
    assert [item.id for item in items] == ["good", "last"]
    assert [found.line for found in broken] == [2]
    assert broken[0].reason


def test_a_file_that_is_not_there_is_the_callers_error(tmp_path: Path):
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(CallerError) as caught:
            read_dataset(path)
        assert str(path) in caught.value.message
