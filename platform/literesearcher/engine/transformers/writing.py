"""The text of a generation as its tokens come, up to the first stop string.

Owns: characters that several tokens spell, where a stop string cuts. Refuses to know: models, sampling.
Above: `engine.transformers.runtime`.
"""

from __future__ import annotations

from literesearcher.engine.tokenizer import Tokenizer

_HALF = "\ufffd"
_MOST_PENDING = 16
"""A character is four bytes at most; more tokens than this that end in half a character will never spell it."""


class Writing:
    """Grows by `add`. `text` ends before the first stop string, which `matched` names then."""

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(one for one in stop if one)
        self._longest = max(map(len, self._stop), default=0)
        self._pending: list[int] = []
        self.text = ""
        self.matched: str | None = None

    def add(self, token: int) -> None:
        """Take in the next token."""
        self._pending.append(token)
        spelled = self._tokenizer.decode(self._pending)
        if not spelled.endswith(_HALF) or len(self._pending) > _MOST_PENDING:
            self._pending.clear()
            self._write(spelled)

    def end(self) -> None:
        """No token comes any more: half a character stays half."""
        if self._pending and self.matched is None:
            self._write(self._tokenizer.decode(self._pending))
            self._pending.clear()

    def _write(self, spelled: str) -> None:
        start = max(0, len(self.text) - self._longest)
        self.text += spelled
        found = [(at, one) for one in self._stop if (at := self.text.find(one, start)) >= 0]
        if found:
            at, self.matched = min(found)
            self.text = self.text[:at]
