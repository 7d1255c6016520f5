"""The KV pool of the timed engine: what each program left in it, what runs, and who has to go.

Owns: tokens, prefixes by message, eviction (the least recently used waiting conversation first; running ones never).
Refuses to know: time, texts. Above: `testing.timed_engine`. A prefix is counted in whole messages, as every system
prompt and turn of ours is one; conversations share nothing with each other.
"""

from __future__ import annotations

from collections import OrderedDict

History = tuple[tuple[str, int], ...]
"""(role and content, tokens) of each message, in order."""


class TimedPool:
    """`capacity` tokens."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.running = 0
        """Tokens of running requests."""
        self.evicted = 0
        """Waiting conversations that had to go, since the start."""
        self._kept: OrderedDict[str, History] = OrderedDict()

    @property
    def used(self) -> int:
        """Tokens of running requests and of waiting conversations."""
        return self.running + sum(map(tokens_of, self._kept.values()))

    def prefix(self, program: str, history: History) -> History:
        """The part of the history that is in the pool."""
        found = []
        for (kept, tokens), (asked, whole) in zip(self._kept.get(program, ()), history, strict=False):
            if kept != asked:
                break
            # A generated turn lies there without the frame that its message has.
            found.append((asked, min(tokens, whole)))
        return tuple(found)

    def take(self, program: str, tokens: int) -> bool:
        """Room for a running request of the program, its own kept conversation in it. False where none can be made."""
        if self.running + tokens > self.capacity:
            return False
        self._kept.pop(program, None)
        self.running += tokens
        while self.used > self.capacity:
            self._kept.popitem(last=False)
            self.evicted += 1
        return True

    def give_back(self, program: str, tokens: int, history: History) -> None:
        """The request is over; `history` is kept for the program's next one (nothing where it is empty)."""
        self.running -= tokens
        if history:
            self._kept[program] = history
            self._kept.move_to_end(program)

    def release(self, program: str) -> None:
        """Nothing waits for the program any more."""
        self._kept.pop(program, None)


def tokens_of(history: History) -> int:
    """All its tokens."""
    return sum(tokens for _, tokens in history)
