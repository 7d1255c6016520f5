"""The API keys of a job store over SQLAlchemy: `jobs.ports.Keys`, the part that `sql_store` is built upon.

Owns: which operation each method is. Refuses to know: jobs, statements (`jobs.sql.api_keys`).
"""

from __future__ import annotations

from functools import partial

from literesearcher.jobs import keys
from literesearcher.jobs.ids import is_id
from literesearcher.jobs.model import ApiKey
from literesearcher.jobs.sql import api_keys
from literesearcher.jobs.sql.room import RoomWatch
from literesearcher.jobs.sql.runner import Runner


class SqlKeys:
    """`jobs.ports.Keys` over one database."""

    def __init__(self, runner: Runner) -> None:
        self._runner = RoomWatch(runner)

    async def create_key(self, tenant_id: str, name: str, *, token: str | None = None) -> tuple[ApiKey, str]:
        """A new key and its token, or the key that this token has."""
        token = keys.new_token() if token is None else token
        credential = keys.required_credential(token)
        return await self._runner.write(
            partial(api_keys.create, credential=credential, tenant_id=tenant_id, name=name)
        ), token

    async def list_keys(self) -> list[ApiKey]:
        """All keys, newest first."""
        return await self._runner.read(api_keys.every)

    async def revoke_key(self, key_id: str) -> ApiKey:
        """Revoke, or NotFound."""
        if not is_id(key_id, "key"):
            raise api_keys.not_found(key_id)
        return await self._runner.write(partial(api_keys.revoke, key_id=key_id))

    async def authenticate(self, token: str) -> ApiKey | None:
        """The live key of this token, else None."""
        credential = keys.credential(token)
        if credential is None:
            return None
        return await self._runner.read(partial(api_keys.find, credential=credential))
