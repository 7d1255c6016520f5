"""What was acknowledged stays: writers killed in mid-append, several processes on one store, a server that restarts."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

import services
from literesearcher.errors import BoundaryError
from literesearcher.jobs.model import JobFilter
from literesearcher.jobs.sql_store import open_store
from literesearcher.testing.contracts.store_jobs import LEASE, create, end, ended, eventually, now, started, tool

WRITER = Path(__file__).with_name("writer.py")
PATIENCE_SECONDS = 60.0


class Writer:
    """The writer program as a process."""

    def __init__(self, process: asyncio.subprocess.Process, job_id: str) -> None:
        self._process = process
        self.job_id = job_id
        self.acknowledged = 1

    @classmethod
    async def start(cls, url: str, events: int = 2) -> Writer:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(WRITER), url, str(events), stdout=asyncio.subprocess.PIPE
        )
        writer = cls(process, "")
        writer.job_id = await writer._line()
        return writer

    async def reach(self, seq: int) -> None:
        while self.acknowledged < seq:
            self.acknowledged = int(await self._line())

    async def kill(self) -> None:
        """SIGKILL, then what it had said until then."""
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        assert self._process.stdout is not None
        rest = (await self._process.stdout.read()).decode()
        # A line that the kill cut in two is no acknowledgement.
        for line in rest.splitlines(keepends=True):
            if line.endswith("\n"):
                self.acknowledged = int(line)

    async def _line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await self._process.stdout.readline()
        assert line.endswith(b"\n"), "the writer died by itself"
        return line.decode().strip()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite3'}"
    return str(request.getfixturevalue("postgres_url"))


async def test_a_killed_writer_loses_nothing_that_it_was_told_is_there(url: str) -> None:
    store = await open_store(url, migrate=True)
    for kill_at in (2, 40, 111):
        writer = await Writer.start(url)
        await writer.reach(kill_at)
        await writer.kill()
        journal = await store.read(writer.job_id)
        assert len(journal) >= writer.acknowledged >= kill_at
        assert [row.seq for row in journal] == list(range(1, len(journal) + 1))
        # Two events an append: all of it or nothing.
        assert len(journal) % 2 == 1
        assert (await store.get("writer", writer.job_id)).last_seq == len(journal)

        async def take(job_id: str = writer.job_id):
            return await store.claim("heir", lease_seconds=LEASE, job_id=job_id)

        (claim,) = await eventually(take)
        events = [started(), ended()]
        seq = claim.job.last_seq + 1
        await store.append(writer.job_id, fence=claim.fence, expected_seq=seq, attempt=2, at=now(), events=events)
        assert (await store.get("writer", writer.job_id)).status == "completed"
    await store.aclose()


async def test_several_processes_write_to_one_store(url: str) -> None:
    """Each goes on; this process reads and writes beside them, and a key made here lets in at once."""
    store = await open_store(url, migrate=True)
    writers = await asyncio.gather(*(Writer.start(url, events=1) for _ in range(3)))
    for _ in range(10):
        await end(store, await create(store))
        _, token = await store.create_key("acme", "k")
        assert await store.authenticate(token) is not None
    await asyncio.gather(*(writer.reach(100) for writer in writers))
    await asyncio.gather(*(writer.kill() for writer in writers))
    for writer in writers:
        journal = await store.read(writer.job_id)
        assert len(journal) >= writer.acknowledged >= 100
    assert len((await store.list("acme", only=JobFilter(status="completed"))).jobs) == 10
    await store.aclose()


async def test_postgresql_restarts_in_between(postgres_server: services.PostgresServer) -> None:
    """While it is away every call fails as transient; then the same store works again, nothing lost."""
    store = await open_store(postgres_server.url, migrate=True)
    job = await create(store)
    (claim,) = await store.claim("w", lease_seconds=600)
    await asyncio.gather(*(store.read(job.id) for _ in range(10)))
    postgres_server.stop()
    for call in (
        lambda: store.get("acme", job.id),
        lambda: store.append(job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[tool(1)]),
        store.backlog,
        lambda: open_store(postgres_server.url),
    ):
        with pytest.raises(BoundaryError) as caught:
            await call()
        assert (caught.value.code, caught.value.transient) == ("store_unreachable", True)
    postgres_server.start()

    async def back() -> bool:
        try:
            return (await store.get("acme", job.id)) == claim.job
        except BoundaryError:
            return False

    await eventually(back)
    await store.append(job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[tool(1)])
    assert [row.seq for row in await store.read(job.id)] == [1, 2]
    await store.aclose()


async def test_postgresql_goes_away_in_mid_call(postgres_server: services.PostgresServer) -> None:
    """Whatever is under way ends, with a result or as transient; nothing hangs, nothing is half there."""
    store = await open_store(postgres_server.url, migrate=True)
    job = await create(store)
    await store.claim("w", lease_seconds=600)

    async def write() -> tuple[int, BoundaryError]:
        seq = 2
        while True:
            try:
                await store.append(
                    job.id, fence=1, expected_seq=seq, attempt=1, at=now(), events=[tool(seq), tool(seq + 1)]
                )
            except BoundaryError as error:
                return seq, error
            seq += 2

    writing = asyncio.create_task(write())
    await eventually(lambda: store.read(job.id, after=20))
    await asyncio.to_thread(postgres_server.stop)
    async with asyncio.timeout(PATIENCE_SECONDS):
        failed_at, error = await writing
    assert (error.code, error.transient) == ("store_unreachable", True)
    postgres_server.start()

    async def journal():
        try:
            return await store.read(job.id)
        except BoundaryError:
            return None

    rows = await eventually(journal)
    # The commit whose answer was lost may be there.
    assert len(rows) in (failed_at - 1, failed_at + 1)
    await store.aclose()
