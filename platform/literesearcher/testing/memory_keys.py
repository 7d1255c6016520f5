"""API keys in memory, and the closing of the store that holds them: part of `testing.memory_store`.

Owns: the promises of `jobs.ports.Keys` in a dictionary. Refuses to know: jobs.
"""

from __future__ import annotations

from dataclasses import replace

from literesearcher.errors import BoundaryError, Conflict, NotFound
from literesearcher.jobs import keys
from literesearcher.jobs.model import ApiKey
from literesearcher.timing.clock import Clock


class MemoryKeys:
    """`jobs.ports.Keys` in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed = False
        self._keys: dict[str, tuple[ApiKey, str]] = {}

    async def create_key(self, tenant_id: str, name: str, *, token: str | None = None) -> tuple[ApiKey, str]:
        """A new key and its token, or the key that this token has."""
        self._check_open()
        token = keys.new_token() if token is None else token
        credential = keys.required_credential(token)
        made = (ApiKey(credential.key_id, tenant_id, name, self._clock.now()), credential.digest)
        key, digest = self._keys.setdefault(credential.key_id, made)
        if not keys.same_digest(digest, credential.digest):
            raise Conflict(f"the key {key.id} exists with another secret", code="key_exists", field="token")
        return key, token

    async def list_keys(self) -> list[ApiKey]:
        """Newest first."""
        self._check_open()
        return sorted((key for key, _ in self._keys.values()), key=lambda key: (key.created_at, key.id), reverse=True)

    async def revoke_key(self, key_id: str) -> ApiKey:
        """Revoke, or NotFound."""
        self._check_open()
        if key_id not in self._keys:
            raise NotFound(f"there is no key {key_id}", field="id")
        key, digest = self._keys[key_id]
        key = replace(key, revoked_at=key.revoked_at or self._clock.now())
        self._keys[key_id] = (key, digest)
        return key

    async def authenticate(self, token: str) -> ApiKey | None:
        """The live key of this token, else None."""
        self._check_open()
        credential = keys.credential(token)
        key, digest = self._keys.get(credential.key_id, (None, "")) if credential is not None else (None, "")
        if key is None or credential is None or not keys.same_digest(digest, credential.digest):
            return None
        return None if key.revoked_at is not None else key

    async def aclose(self) -> None:
        """Later calls raise BoundaryError `store_closed`."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise BoundaryError("the job store is closed", code="store_closed")
