"""The model's own tokenizer: exact token counts, loaded once a process from its `tokenizer.json`.

Owns: that text is only ever text: `<|im_end|>` in a page counts, and encodes, as the characters it is made of, never as
the control token. Refuses to know: chat templates, models. Above: engines. Below: the `tokenizers` library, imported
when the first file is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from literesearcher.errors import ConfigurationError

if TYPE_CHECKING:
    import tokenizers


class Tokenizer:
    """Encodes text. Made by `from_file`."""

    def __init__(self, loaded: tokenizers.Tokenizer) -> None:
        # With this set, special tokens are encoded like any other text.
        loaded.encode_special_tokens = True
        loaded.no_truncation()
        loaded.no_padding()
        self._loaded = loaded

    @classmethod
    def from_file(cls, path: Path) -> Tokenizer:
        """Load a Hugging Face `tokenizer.json`. ConfigurationError where it cannot be read."""
        import tokenizers

        try:
            return cls(tokenizers.Tokenizer.from_file(str(path)))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception for every broken file
            raise ConfigurationError(f"the tokenizer file {path} cannot be read: {error}") from None

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, no special token added or recognised."""
        ids: list[int] = self._loaded.encode(text, add_special_tokens=False).ids
        return ids

    def count(self, text: str) -> int:
        """How many tokens `text` is."""
        return len(self.encode(text))
