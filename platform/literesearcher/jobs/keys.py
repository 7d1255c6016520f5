"""API keys: the token's form, what of it is kept, and the bootstrap file.

A token is `lr_ID_SECRET`: ID names the key (`key_ID`), SECRET is 192 random bits, of which SHA-256 is kept. A token
from a bootstrap file may have any other form of 20 to 512 visible ASCII characters: its id is then derived from it.
Refuses to know: where keys are stored, HTTP.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from literesearcher.errors import CallerError, ConfigurationError
from literesearcher.jobs.ids import is_id, new_id

_TOKEN = re.compile(r"lr_([0-9a-f]{32})_([A-Za-z0-9_-]{20,256})")
_VISIBLE = re.compile(r"[!-~]{20,512}")
_FILE_BYTES = 1024
"""A bootstrap file holds one token and white space."""
_FORM = "20 to 512 visible ASCII characters without spaces, such as lr_ID_SECRET"


@dataclass(frozen=True, slots=True)
class Credential:
    """A token taken apart: the key that it names, and SHA-256 (hex) of its secret."""

    key_id: str
    digest: str


def new_token() -> str:
    """A fresh `lr_ID_SECRET`."""
    return f"lr_{new_id('key').removeprefix('key_')}_{secrets.token_hex(24)}"


def credential(token: str) -> Credential | None:
    """The token taken apart, None where it has no token's form."""
    if _VISIBLE.fullmatch(token) is None:
        return None
    match = _TOKEN.fullmatch(token)
    if match is not None:
        return Credential(f"key_{match[1]}", _sha256(match[2]))
    # Half a digest under its own prefix: it names the key and gives nothing of the token away.
    return Credential(f"key_{_sha256('id:' + token)[:32]}", _sha256(token))


def named_key(text: str) -> str:
    """The id of the key that an id, a whole token, or one without its secret (`lr_ID`) names; else the text itself."""
    if is_id(text, "key"):
        return text
    short = re.fullmatch(r"lr_([0-9a-f]{32})_?", text)
    if short is not None:
        return f"key_{short[1]}"
    found = credential(text)
    return text if found is None else found.key_id


def required_credential(token: str) -> Credential:
    """As `credential`; CallerError(field="token") for a form that no key has."""
    found = credential(token)
    if found is None:
        raise CallerError(f"a key's token is {_FORM}", code="invalid_token", field="token")
    return found


def same_digest(one: str, other: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def bootstrap_token(path: Path) -> str:
    """The token in a bootstrap file, without the white space around it. ConfigurationError names the file."""
    try:
        raw = _read_small(path)
    except OSError as error:
        raise ConfigurationError(
            f"the bootstrap key file {path} cannot be read: {error.strerror}", code="bootstrap_key_invalid"
        ) from None
    token = (raw or b"").decode("ascii", "replace").strip()
    if credential(token) is None:
        raise ConfigurationError(f"the bootstrap key file {path} must hold {_FORM}", code="bootstrap_key_invalid")
    return token


def _read_small(path: Path) -> bytes | None:
    """All of a file, None where it is longer than any token. OSError for what is no regular file: reading a pipe or
    a device may never end."""
    # Nothing is waited for: opening a pipe would wait for its writer.
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        raw = file.read(_FILE_BYTES + 1)
    return raw if len(raw) <= _FILE_BYTES else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
