"""Tokens and bootstrap files: what has a key's form, what is kept of it, what a file may be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from literesearcher.errors import CallerError, ConfigurationError
from literesearcher.jobs import keys

TOKEN = "lr_" + "0" * 32 + "_" + "a" * 48
PATIENCE = 30


def test_a_new_token_names_its_key_and_keeps_its_secret_out_of_the_store() -> None:
    token = keys.new_token()
    found = keys.required_credential(token)
    prefix, key_id, secret = token.split("_")
    assert (prefix, found.key_id) == ("lr", f"key_{key_id}")
    assert secret not in found.key_id + found.digest
    assert keys.new_token() != token


def test_a_token_of_any_other_form_has_an_id_that_gives_nothing_away() -> None:
    token = "hunter2-hunter2-hunter2"
    found = keys.required_credential(token)
    assert found == keys.required_credential(token)
    assert found.key_id.removeprefix("key_") not in found.digest
    assert "hunter2" not in found.key_id + found.digest
    assert keys.required_credential(token + "!") != found


@pytest.mark.parametrize("token", ["", "short", "x" * 19, "x" * 513, "a b" * 10, "x" * 20 + "\n", "\xe9" * 30])
def test_what_no_key_looks_like_is_refused_by_its_form(token: str) -> None:
    assert keys.credential(token) is None
    with pytest.raises(CallerError) as caught:
        keys.required_credential(token)
    assert caught.value.field == "token"


@pytest.mark.parametrize("form", ["{}", "{}\n", "  {}\r\n\n"])
def test_a_file_holds_one_token_and_white_space(tmp_path: Path, form: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(form.format(TOKEN).encode())
    assert keys.bootstrap_token(file) == TOKEN


def test_a_secret_that_is_mounted_as_a_link_to_a_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "key").write_text(TOKEN)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "key").symlink_to("..data/key")
    assert keys.bootstrap_token(tmp_path / "key") == TOKEN


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"short", f"{TOKEN}\n{TOKEN}".encode(), b"\xff" * 40, b"x" * 2000, TOKEN.encode() + b" " * 2000],
)
def test_a_file_with_anything_else_is_named_and_not_shown(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        keys.bootstrap_token(file)
    assert str(file) in caught.value.message
    assert TOKEN not in caught.value.message


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "link to a device"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    # A process of its own, with little memory: a mistake here would never end, or take all of it.
    script = (
        "import resource, sys, pathlib\n"
        "from literesearcher.errors import ConfigurationError\n"
        "from literesearcher.jobs.keys import bootstrap_token\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "try:\n    bootstrap_token(pathlib.Path(sys.argv[1]))\n"
        "except ConfigurationError as error:\n    print(error.code, error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stdout.startswith("bootstrap_key_invalid"), done.stderr[-500:]
    assert str(path) in done.stdout


def test_a_pasted_token_names_its_key() -> None:
    """Whole, without its secret, of a bootstrap file; an id is itself, and so is what names no key."""
    token = keys.new_token()
    key_id = f"key_{token[3:35]}"
    for text in (key_id, token, token[:35], token[:36], token[:-3]):
        assert keys.named_key(text) == key_id
    own = "any-form-of-20-characters!"
    found = keys.credential(own)
    assert found is not None
    assert keys.named_key(own) == found.key_id
    assert keys.named_key("laptop") == "laptop"
