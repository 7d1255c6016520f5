"""Prompt files that an operator names."""

from pathlib import Path

import pytest

from literesearcher.errors import ConfigurationError
from literesearcher.settings.prompts import MAX_PROMPT_BYTES, read_prompt_file

NAME = "LITERESEARCHER_RESEARCH__SYSTEM_PROMPT_FILE"


def test_a_file_is_read_as_it_is(tmp_path: Path):
    path = tmp_path / "p.txt"
    path.write_bytes("Zeile {goal}\r\n研究\n".encode())
    assert read_prompt_file(path, NAME) == "Zeile {goal}\r\n研究\n"
    assert read_prompt_file(None, NAME) is None


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "No such file"), (b"\xff\xfe", "UTF-8"), (b" \n", "empty"), (b"a" * (MAX_PROMPT_BYTES + 1), "larger")],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, told: str):
    path = tmp_path / "p.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_prompt_file(path, NAME)
    assert NAME in caught.value.message
    assert str(path) in caught.value.message
    assert told in caught.value.message


def test_a_prompt_without_its_placeholders_is_refused(tmp_path: Path):
    path = tmp_path / "p.txt"
    path.write_text("Read {webpage_content}.")
    wanted = ("{webpage_content}", "{goal}")
    with pytest.raises(ConfigurationError, match=r"does not hold \{goal\}:"):
        read_prompt_file(path, NAME, holding=wanted)
    path.write_text("Read {webpage_content} for {goal}.")
    assert read_prompt_file(path, NAME, holding=wanted) == "Read {webpage_content} for {goal}."
