"""Is there room to write again? Asked after a write that found the disk full, until one of some size goes through.

Refuses to know: which database it is, who asks.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert

from literesearcher.errors import BoundaryError
from literesearcher.jobs.sql.runner import Operation, Runner, T
from literesearcher.jobs.sql.schema import store_meta

_ROW = "room"
_CHARACTERS = 64 * 1024
"""As much as most single writes of a job need."""


class RoomWatch:
    """A runner that remembers that a write found no room. Other writes do not make it forget: one that changes
    nothing needs none."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._full = False

    async def write(self, operation: Operation[T]) -> T:
        """As the runner's."""
        try:
            return await self._runner.write(operation)
        except BoundaryError as error:
            self._full = self._full or error.code == "store_full"
            raise

    async def read(self, operation: Operation[T]) -> T:
        """As the runner's."""
        return await self._runner.read(operation)

    async def check_room(self) -> None:
        """`store_full` where a write found no room, and a trial of some size still finds none."""
        if self._full:
            await self._runner.write(_take)
            await self._runner.write(_give_back)
            self._full = False

    async def aclose(self) -> None:
        """As the runner's."""
        await self._runner.aclose()


def _take(conn: Connection) -> None:
    _give_back(conn)
    conn.execute(insert(store_meta).values(name=_ROW, value="x" * _CHARACTERS))


def _give_back(conn: Connection) -> None:
    conn.execute(delete(store_meta).where(store_meta.c.name == _ROW))
