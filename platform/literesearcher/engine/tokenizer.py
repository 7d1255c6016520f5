"""The model's own tokenizer: exact token counts and ids, loaded once a process from its `tokenizer.json`.

Owns: that text is only ever text: `<|im_end|>` or `<tool_call>` in a page counts, and encodes, as the characters it is
made of, never as the token of that name. The file's added tokens are taken out before it is loaded: the library can be
told to see no special tokens, but Qwen3's `<tool_call>` and `<think>` are added ones that are not special. Who means a
token asks for it by name. Refuses to know: chat templates, models. Above: engines, `token_history`. Below: the
`tokenizers` library, imported when the first file is loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from literesearcher.errors import ConfigurationError

if TYPE_CHECKING:
    import tokenizers


class Tokenizer:
    """Encodes text. Made by `from_file`."""

    def __init__(self, loaded: tokenizers.Tokenizer, added: Mapping[str, int]) -> None:
        """`loaded` knows none of the `added` tokens."""
        loaded.no_truncation()
        loaded.no_padding()
        self._loaded = loaded
        self._added = dict(added)
        self._names = {number: name for name, number in added.items()}
        longest_first = sorted(filter(None, added), key=len, reverse=True)
        self._name = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self.size = max(loaded.get_vocab_size(with_added_tokens=False), *(one + 1 for one in added.values()), 0)
        """One more than the highest id."""

    @classmethod
    def from_file(cls, path: Path) -> Tokenizer:
        """Load a Hugging Face `tokenizer.json`. ConfigurationError where it cannot be read, or where its model itself
        would spell one of the added tokens."""
        import tokenizers

        try:
            described: dict[str, Any] = json.loads(path.read_bytes())
            added = {str(one["content"]): int(one["id"]) for one in described.get("added_tokens") or []}
            plain = described | {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
            made = cls(tokenizers.Tokenizer.from_str(json.dumps(plain)), added)
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception for every broken file
            raise ConfigurationError(f"the tokenizer file {path} cannot be read: {error}") from None
        spelled = [name for name, number in added.items() if number in made.encode(name)]
        if spelled:
            raise ConfigurationError(f"the tokenizer file {path} makes the token {spelled[0]} of plain text")
        return made

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, no added token among them."""
        ids: list[int] = self._loaded.encode(text, add_special_tokens=False).ids
        return ids

    def encode_whole(self, text: str) -> list[int]:
        """Token ids of a text that is a program's own: names of added tokens in it are those tokens."""
        ids: list[int] = []
        at = 0
        for found in self._name.finditer(text):
            ids += [*self.encode(text[at : found.start()]), self._added[found.group()]]
            at = found.end()
        return ids + self.encode(text[at:])

    def count(self, text: str) -> int:
        """How many tokens `text` is."""
        return len(self.encode(text))

    def token(self, name: str) -> int | None:
        """The id of an added token, None where the file has none of that name."""
        return self._added.get(name)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids, added tokens by their names."""
        parts: list[str] = []
        plain: list[int] = []
        for number in ids:
            name = self._names.get(number)
            if name is None:
                plain.append(number)
                continue
            parts += [self._text(plain), name]
            plain = []
        return "".join([*parts, self._text(plain)])

    def _text(self, ids: list[int]) -> str:
        text: str = self._loaded.decode(ids, skip_special_tokens=False) if ids else ""
        return text
