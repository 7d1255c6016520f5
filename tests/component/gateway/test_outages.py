"""The store down, full or broken; the engine silent; an error that nobody foresaw."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from literesearcher.engine.port import EngineInfo
from literesearcher.errors import BoundaryError, CallerError
from literesearcher.gateway.documents import ProblemDocument
from literesearcher.jobs.model import NewJob
from literesearcher.jobs.spending import NO_LIMIT, Budget
from literesearcher.testing.journal_events import attempt, ended
from literesearcher.testing.memory_store import MemoryStore
from literesearcher.testing.served_gateway import PATIENCE, Served
from literesearcher.timing.clock import SystemClock

Start = Callable[..., Awaitable[Served]]


class Failing(MemoryStore):
    """Fails in every method that the gateway calls while `error` is set."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.error: Exception | None = None

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    async def create(self, new: NewJob, *, budget: Budget = NO_LIMIT, refusal: CallerError | None = None) -> Any:
        self._fail()
        return await super().create(new, budget=budget, refusal=refusal)

    async def get(self, tenant_id: str, job_id: str) -> Any:
        self._fail()
        return await super().get(tenant_id, job_id)

    async def read(self, job_id: str, *, after: int = 0, limit: int | None = None) -> Any:
        self._fail()
        return await super().read(job_id, after=after, limit=limit)

    async def list_keys(self) -> Any:
        self._fail()
        return await super().list_keys()

    async def backlog(self) -> Any:
        self._fail()
        return await super().backlog()


UNREACHABLE = BoundaryError("the job store does not answer", code="store_unreachable", transient=True)


async def test_a_store_that_does_not_answer_is_503_and_says_when_to_come_back(start: Start) -> None:
    store = Failing()
    served = await start(store=store)
    job_id = await served.create()
    store.error = UNREACHABLE
    for method, path in [
        ("POST", "/v1/research"),
        ("GET", "/v1/research"),
        ("GET", f"/v1/research/{job_id}"),
        ("GET", f"/v1/research/{job_id}/events"),
        ("POST", f"/v1/research/{job_id}/cancel"),
        ("DELETE", f"/v1/research/{job_id}"),
        ("GET", "/readyz"),
    ]:
        body = {"json": {"input": "q"}} if method == "POST" else {}
        status, headers, problem = await served.call(method, path, **body)
        assert (status, problem["code"]) == (503, "store_unreachable"), path
        assert int(headers["Retry-After"]) > 0
    assert (await served.call("GET", "/livez"))[0] == 200
    store.error = None
    assert (await served.call("GET", "/readyz"))[0] == 200
    assert (await served.call("GET", f"/v1/research/{job_id}"))[0] == 200


async def test_a_store_that_hangs_is_not_ready(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("literesearcher.gateway.service_routes._STORE_SECONDS", 0.05)

    class Hanging(MemoryStore):
        async def backlog(self) -> Any:
            await asyncio.Event().wait()

    served = await start(store=Hanging(SystemClock()))
    status, _, problem = await served.call("GET", "/readyz")
    assert (status, problem["code"]) == (503, "store_unreachable")


async def test_a_full_disk_is_507(start: Start) -> None:
    store = Failing()
    served = await start(store=store)

    async def full(new: NewJob, *, budget: Budget, refusal: CallerError | None) -> Any:
        raise BoundaryError("the disk of the job store is full", code="store_full")

    store.create = full  # type: ignore[method-assign]
    status, _, problem = await served.call("POST", "/v1/research", json={"input": "q"})
    assert (status, problem["code"]) == (507, "store_full")


async def test_a_store_without_room_is_not_ready_and_says_why(start: Start) -> None:
    store = Failing()
    served = await start(store=store)
    store.error = BoundaryError("the disk under the job store is full", code="store_full")
    status, headers, problem = await served.call("GET", "/readyz")
    assert (status, problem["code"]) == (503, "not_ready")
    assert "disk" in problem["detail"]
    assert int(headers["Retry-After"]) > 0
    store.error = None
    assert (await served.call("GET", "/readyz"))[0] == 200


async def test_a_stream_lives_through_an_outage(start: Start) -> None:
    store = Failing()
    served = await start(store=store)
    job_id = await served.create()
    async with asyncio.timeout(PATIENCE):
        async with served.session.get(f"{served.base}/v1/research/{job_id}/events") as answer:
            seen = b""
            while b"job.created" not in seen:
                seen += await answer.content.readany()
            store.error = UNREACHABLE
            await asyncio.sleep(0.3)
            store.error = None
            await served.append(job_id, attempt(), ended())
            seen += await answer.content.read()
    assert [line for line in seen.split(b"\n") if line.startswith(b"id:")] == [b"id: 1", b"id: 2", b"id: 3"]


async def test_an_error_that_nobody_foresaw_shows_nothing_and_is_logged(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    store = Failing()
    served = await start(store=store)
    store.error = RuntimeError("postgresql://user:s3cret@db/jobs")
    with caplog.at_level(logging.ERROR, "literesearcher.gateway"):
        status, headers, problem = await served.call("POST", "/v1/research", json={"input": "q"})
    assert (status, problem["code"]) == (500, "internal_error")
    assert headers["content-type"] == "application/problem+json"
    ProblemDocument.model_validate(problem)
    assert "s3cret" not in str(problem)
    assert any(record.exc_info for record in caplog.records)


async def test_an_engine_that_does_not_say_who_it_is(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down() -> EngineInfo:
        raise BoundaryError("http://10.0.0.7 refused", code="engine_unreachable", transient=True, retry_after=7)

    served = await start(engine_info=down)
    status, headers, problem = await served.call("GET", "/v1/models")
    assert (status, headers["Retry-After"], problem["error"]["code"]) == (503, "7", "engine_unreachable")
    assert "10.0.0.7" not in str(problem)

    async def hangs() -> EngineInfo:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("literesearcher.gateway.model_routes._ENGINE_SECONDS", 0.05)
    served = await start(engine_info=hangs)
    status, _, problem = await served.call("GET", "/v1/models")
    assert (status, problem["error"]["code"]) == (504, "engine_timeout")
