"""The port to kept bytes: values with lifetimes, and locks that a dead holder frees.

Refuses to know: what the bytes mean, how old may be how old. Above: `cache.results`. Implementations: `cache.memory` in
one process, `cache.shared` over Redis; `testing.contracts.kept_store` is what both keep to.
"""

from __future__ import annotations

from typing import Protocol


class KeptStore(Protocol):
    """Keys are opaque text. Every method may raise `RedisAway`: the store cannot be reached in time, go on without."""

    async def get(self, key: str) -> bytes | None:
        """The value while it lives, else None."""
        ...

    async def put(self, key: str, value: bytes, *, seconds: float) -> None:
        """Keep for so long (more than 0), in place of what was there. The store may drop anything at any time."""
        ...

    async def lock(self, key: str, token: str, *, seconds: float) -> bool:
        """True where `token` holds the key's lock from here on for so long: it was free, or `token` held it already.

        A lock is no value: neither hides the other. `token` is random, one a holder.
        """
        ...

    async def unlock(self, key: str, token: str) -> None:
        """Free the lock if `token` holds it; another's stays."""
        ...

    async def wait(self, key: str, *, seconds: float) -> None:
        """Until the key's lock is free, or so long at most."""
        ...

    async def aclose(self) -> None:
        """Let go of what the store itself opened. Safe to call twice."""
        ...
