"""Reads the prompt files that an operator names instead of the shipped wording.

Owns: what is said of a file that cannot be used. Refuses to know: what the prompts mean; `research.prompts` does.
"""

from __future__ import annotations

from pathlib import Path

from literesearcher.errors import ConfigurationError

MAX_PROMPT_BYTES = 1_000_000
"""More than any prompt; a larger file is a wrong path."""


def read_prompt_file(path: Path | None, name: str, *, holding: tuple[str, ...] = ()) -> str | None:
    """The file's text, None where none is named. `name` is the setting, for the message of ConfigurationError.

    `holding`: placeholders without which the prompt would carry nothing.
    """
    if path is None:
        return None
    try:
        if path.stat().st_size > MAX_PROMPT_BYTES:
            raise ConfigurationError(f"{name}: {path} is larger than {MAX_PROMPT_BYTES} bytes, so no prompt file")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{name}: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name}: {path} is not UTF-8 (at byte {error.start}): save it as UTF-8") from None
    if not text.strip():
        raise ConfigurationError(f"{name}: {path} is empty")
    missing = [placeholder for placeholder in holding if placeholder not in text]
    if missing:
        raise ConfigurationError(f"{name}: {path} does not hold {' and '.join(missing)}: put in where it belongs")
    return text
