"""Orchestrators on the test's Ray over a real job store, and the jobs that wait in it.

Owns: the application `orchestrator` as the platform's own configuration has it, with a little patience, and the test's
own way to the same store. The store is SQLite, so a test's jobs are its own. Refuses to know: what a test expects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from literesearcher.cluster.configuration import ORCHESTRATOR, serve_configuration
from literesearcher.jobs.live import LocalLive
from literesearcher.jobs.model import Backlog
from literesearcher.jobs.sql_store import open_store
from literesearcher.settings.load import load_settings
from literesearcher.testing.bench import Bench
from literesearcher.testing.scripted_engine import ScriptedEngine
from literesearcher.testing.scripted_tools import ScriptedTools
from literesearcher.timing.clock import SystemClock

T = TypeVar("T")
P = "LITERESEARCHER_"
POLICIES = "literesearcher.cluster.scaling.ray_policies"


class QueuedJobs:
    """`folder` is the platform's data directory."""

    def __init__(self, folder: Path, *, jobs_at_once: int) -> None:
        self._settings = load_settings(
            {
                "HOME": str(folder),
                f"{P}DATA_DIR": str(folder),
                f"{P}RESEARCH__MAX_CONCURRENT_JOBS": str(jobs_at_once),
                f"{P}ORCHESTRATOR__POLL_SECONDS": "0.3",
                f"{P}ORCHESTRATOR__LEASE_SECONDS": "5",
                f"{P}CLUSTER__ORCHESTRATOR_MAX_REPLICAS": "3",
            },
            dotenv=None,
        )

    def application(self) -> dict[str, Any]:
        """The application `orchestrator`."""
        [found] = [one for one in serve_configuration(self._settings)["applications"] if one["name"] == ORCHESTRATOR]
        [deployment] = found["deployments"]
        deployment["ray_actor_options"] |= {"num_cpus": 0.1}
        impatient(deployment)
        return dict(found)

    def do(self, work: Callable[[Bench], Awaitable[T]]) -> T:
        """With the store, in a loop of its own."""

        async def done() -> T:
            store = await open_store(self._settings.store_url)
            try:
                clock = SystemClock()
                bench = Bench(
                    store=store, live=LocalLive(), clock=clock, engine=ScriptedEngine([]), tools=ScriptedTools()
                )
                return await work(bench)
            finally:
                await store.aclose()

        return asyncio.run(done())

    def add(self, count: int, question: str = "q") -> list[str]:
        """Their ids."""

        async def made(bench: Bench) -> list[str]:
            return [(await bench.create(question)).id for _ in range(count)]

        return self.do(made)

    def backlog(self) -> Backlog:
        """What the store counts."""
        return self.do(lambda bench: bench.store.backlog())

    def ended(self, jobs: list[str]) -> list[str]:
        """How those ended that have."""

        async def seen(bench: Bench) -> list[str]:
            found = [await bench.store.get("default", job) for job in jobs]
            return [str(one.stop_reason) for one in found if one.stop_reason is not None]

        return self.do(seen)


def impatient(deployment: dict[str, Any], **arguments: Any) -> None:
    """Its scaling policy decides within seconds. `arguments`: further ones of the policy."""
    deployment["autoscaling_config"]["policy"]["policy_kwargs"] |= {
        "up_seconds": 1.0,
        "down_seconds": 4.0,
        **arguments,
    }


def scaled(application: dict[str, Any], policy: str, *, most: int, **arguments: Any) -> dict[str, Any]:
    """The application with bounds and one of our policies, in the form that the platform's own configuration has."""
    (deployment,) = application["deployments"]
    deployment.pop("num_replicas", None)
    deployment["autoscaling_config"] = {
        "min_replicas": 1,
        "max_replicas": most,
        "metrics_interval_s": 1.0,
        "look_back_period_s": 5.0,
        "upscale_delay_s": 0.0,
        "downscale_delay_s": 0.0,
        "policy": {
            "policy_function": f"{POLICIES}:{policy}",
            "policy_kwargs": {"application": application["name"]},
        },
    }
    impatient(deployment, **arguments)
    return application
