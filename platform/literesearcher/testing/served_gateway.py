"""A gateway on a real loopback socket over the in-memory store, and a worker's hand that writes its journals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from literesearcher.engine.port import EngineInfo
from literesearcher.gateway.app import create_app
from literesearcher.gateway.raw_model.port import RawModel
from literesearcher.gateway.serving import serve
from literesearcher.gateway.stream import StreamPace
from literesearcher.gateway.upstream import Upstream
from literesearcher.jobs.live import Live, journal_topic
from literesearcher.jobs.model import Claim
from literesearcher.jobs.ports import Store
from literesearcher.research import events as ev
from literesearcher.research.prompts import Prompts
from literesearcher.settings.model import Settings
from literesearcher.settings.sections import AdmissionSection, BudgetsSection, EngineSection, GatewaySection
from literesearcher.timing.clock import SystemClock

QUESTION = "Which function merges sorted inputs?"
PATIENCE = 30.0
"""Seconds that a test waits for what must come; nothing is asserted about how soon."""


async def extractive() -> EngineInfo:
    """What the embedded engine says of itself."""
    return EngineInfo(kind="extractive", model="extractive", context_length=131072, language_model=False)


@dataclass
class Served:
    """A running gateway."""

    base: str
    port: int
    store: Store
    live: Live
    session: aiohttp.ClientSession
    stop: asyncio.Event
    app: Any
    running: asyncio.Future[None]
    _workers: dict[str, Claim] = field(default_factory=dict)

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any, Any]:
        """(status, headers, parsed body or None)."""
        async with self.session.request(method, self.base + path, **options) as answer:
            raw = await answer.read()
            kind = answer.headers.get("content-type", "")
            return answer.status, answer.headers, json.loads(raw) if "json" in kind and raw else None

    async def create(self, question: str = QUESTION, **options: Any) -> str:
        """Post a question; the id of its job."""
        status, _, job = await self.call("POST", "/v1/research", json={"input": question}, **options)
        assert status == 202, job
        return str(job["id"])

    async def append(self, job_id: str, *events: ev.Event, ring: bool = True) -> None:
        """Append as the job's holder, claiming it first where nobody has."""
        if job_id not in self._workers:
            await self.claim(job_id)
        claim = self._workers[job_id]
        journal = await self.store.read(job_id)
        await self.store.append(
            job_id,
            fence=claim.fence,
            expected_seq=len(journal) + 1,
            attempt=claim.attempt,
            at=SystemClock().now(),
            events=events,
        )
        if ring:
            await self.live.ring(journal_topic(job_id))

    async def claim(self, job_id: str, lease_seconds: float = 600) -> Claim:
        """Lease the job, so that the test may write its journal."""
        [claim] = await self.store.claim("worker", lease_seconds=lease_seconds, job_id=job_id)
        self._workers[job_id] = claim
        return claim

    async def take_over(self, job_id: str) -> Claim:
        """A second attempt, as after a crash."""
        old = self._workers[job_id]
        await self.store.release(job_id, old.fence)
        return await self.claim(job_id)


FAST = StreamPace(poll_seconds=0.05, keep_alive_seconds=0.2, stall_seconds=5.0)


@asynccontextmanager
async def running(
    store: Store,
    live: Live,
    gateway: GatewaySection,
    pace: StreamPace,
    engine_info: Any = extractive,
    *,
    budgets: BudgetsSection | None = None,
    admission: AdmissionSection | None = None,
    engine: EngineSection | None = None,
    raw_model: RawModel | None = None,
) -> AsyncIterator[Served]:
    """A gateway on a real socket of loopback, closed at the end. `engine`: the model server behind it, if any;
    `raw_model`: another raw model than that one."""
    settings = Settings(
        gateway=gateway,
        budgets=budgets or BudgetsSection(),
        admission=admission or AdmissionSection(),
        engine=engine or EngineSection(),
    )
    model = raw_model or Upstream(settings.engine, clock=SystemClock())
    app = create_app(
        store=store,
        live=live,
        settings=settings,
        prompts=Prompts.of(),
        clock=SystemClock(),
        engine_info=engine_info,
        raw_model=model,
        pace=pace,
    )
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    # The settings may say another host (exposure rules); the test's socket is on loopback all the same.
    task = asyncio.ensure_future(serve(app, host="127.0.0.1", port=0, stop=stop, ready=port.set_result))
    number = await asyncio.wait_for(port, PATIENCE)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        served = Served(f"http://127.0.0.1:{number}", number, store, live, session, stop, app, task)
        try:
            yield served
        finally:
            await session.close()
            stop.set()
            await asyncio.wait_for(task, PATIENCE)
            await model.aclose()
