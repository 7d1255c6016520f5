"""Reads a `.env` file so that no setting in it is lost in silence.

Owns: what is said of a file or a line that cannot be read; messages name the file and the line, never what stands
there: it may be a secret. Refuses to know: which settings there are. Above: `settings.load`.
"""

from __future__ import annotations

import io
from pathlib import Path

from dotenv.parser import Original, parse_stream

from literesearcher.errors import ConfigurationError


def read_dotenv(path: Path | None, *, own: str) -> dict[str, str]:
    """Names and values; {} where there is no file.

    Raises ConfigurationError for what is no readable UTF-8 text, for a line that is no assignment, and for a name that
    begins with `own` (in any case) and has no `=`. Of other programs such a line is let be: it exports a variable.
    """
    if path is None:
        return {}
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(_text(path))):
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
        elif binding.error or (binding.key is not None and binding.key.upper().startswith(own)):
            raise ConfigurationError(
                f"{path} line {_line(binding.original)} cannot be read: write NAME=value, closing every quote"
            )
    return values


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        # A folder of that name is a virtual environment, as some call theirs.
        return ""
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}): make it readable, or remove it") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        # UTF-16 without its mark decodes as UTF-8 all the same, with a NUL beside each letter.
        raise ConfigurationError(f"{path} is not UTF-8 text: save it as UTF-8, or remove it")
    return text


def _line(original: Original) -> int:
    """The statement's first line: the parser counts the blank lines before it in."""
    text = original.string
    return original.line + text[: len(text) - len(text.lstrip())].count("\n")
