"""A Ray of a benchmark's own, with a caller and engines as Serve replicas, and the clocks of their processes.

Neighbours: `ray_turn`, `ray_engine`. Ray's processes load this module for its builders. The caller is a replica, as an
orchestrator is one: what it costs there is what it costs in a cluster. Linux only: reads process clocks.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from literesearcher.cluster import local_ray
from literesearcher.engine.port import DeltaSink, Engine, EngineInfo, Generation, GenerationRequest
from literesearcher.research.messages import Message, Sampling, Usage
from literesearcher.timing.clock import SystemClock

PATIENCE = 300.0
WORD = " token"
ROUTER = {
    "request_router_class": "literesearcher.cluster.routing.router.PrefixRouter",
    "request_routing_stats_period_s": 1.0,
}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads, ended ones included."""
    return time.clock_gettime((~pid << 3) | 2)


class PacedEngine:
    """An engine that costs next to nothing: `tokens` of the same word, so many a second, `delta` of them at a time."""

    def __init__(self, tokens: int, per_second: float, delta: int) -> None:
        self._tokens = tokens
        self._pause = 1 / per_second
        self._delta = delta

    async def describe(self) -> EngineInfo:
        """As made up."""
        return EngineInfo(kind="paced", model="paced", context_length=131_072)

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """The same text each time."""
        if on_delta is None:
            await asyncio.sleep(self._tokens * self._pause)
        else:
            for at in range(0, self._tokens, self._delta):
                count = min(self._delta, self._tokens - at)
                await asyncio.sleep(count * self._pause)
                await on_delta(WORD * count)
        usage = Usage(50_000, self._tokens, 49_000)
        return Generation(WORD * self._tokens, "stop", usage, "paced", token_ids=tuple(range(self._tokens)))

    def count_tokens(self, text: str) -> int | None:
        """Nobody asks."""
        return None

    async def aclose(self) -> None:
        """Nothing to close."""


def history(characters: int) -> tuple[Message, ...]:
    """A job's messages as an orchestrator holds them at its thirtieth turn: ids of what was generated, pages from
    outside."""
    made = [Message("system", "You research. " * 150), Message("user", "Which harbour?" * 10)]
    left, turns = characters - sum(len(one.content) for one in made), 30
    for turn in range(turns):
        ids = array("I", range(1000 * turn, 1000 * turn + 170)).tobytes()
        made.append(Message("assistant", f"<think>{turn} word" * 60, token_ids=base64.b64encode(ids).decode()))
        page = left // turns - len(made[-1].content) - 40
        text = f"<tool_response>\n{f'read {turn} here. ' * (page // 13)}"[:page] + "\n</tool_response>"
        made.append(Message("user", text, outside=((16, page),)))
    return tuple(made)


def request(program: str, messages: tuple[Message, ...], **fields: Any) -> GenerationRequest:
    """A turn of that job."""
    return GenerationRequest(program, messages, Sampling(), 10_000, turn=30, **fields)


class Caller:
    """One process that makes turns, over handles or on an engine of its own."""

    def __init__(self, paced: Mapping[str, Any], characters: int) -> None:
        self._own = PacedEngine(**paced)
        self._messages = history(characters)

    async def turns(self, application: str | None, jobs: int, listen: bool) -> float:
        """Makes one turn for each of so many jobs at once. Returns seconds."""
        engine = self._engine(application)
        heard = [0] * jobs
        began = time.monotonic()

        async def turn(number: int) -> None:
            async def sink(text: str) -> None:
                heard[number] += len(text)

            asked = request(f"job-{number:04d}", self._messages)
            answer = await engine.generate(asked, timeout_seconds=PATIENCE, on_delta=sink if listen else None)
            assert heard[number] == (len(answer.text) if listen else 0), "not all of a turn was heard"

        await asyncio.gather(*map(turn, range(jobs)))
        return time.monotonic() - began

    def _engine(self, application: str | None) -> Engine:
        if application is None:
            return self._own
        from ray import serve

        from literesearcher.cluster.serve_engine import ServeEngine

        return ServeEngine(serve.get_deployment_handle("Engine", application))


def paced_engine(args: Mapping[str, Any]) -> Any:
    """An application: a replica with a paced engine. `piece`: PIECE_SECONDS there."""
    from literesearcher.cluster.applications import engine_application

    return engine_application(partial(_made, dict(args)))


def _made(args: dict[str, Any]) -> PacedEngine:
    from literesearcher.cluster import engine_app

    if args["piece"] is not None:
        engine_app.PIECE_SECONDS = args["piece"]
    return PacedEngine(**args["paced"])


def caller(args: Mapping[str, Any]) -> Any:
    """An application: a caller."""
    from ray import serve

    made: Any = serve.deployment(Caller, name="Caller")
    return made.bind(args["paced"], args["characters"])


def application(
    name: str, builder: str, deployment: str, args: Mapping[str, Any], environment: Mapping[str, str], **options: Any
) -> dict[str, Any]:
    """For Serve's configuration, one replica."""
    actor = {"num_cpus": 0.1, **({"runtime_env": {"env_vars": dict(environment)}} if environment else {})}
    actor |= options.pop("actor", {})
    return {
        "name": name,
        "route_prefix": None,
        "import_path": builder,
        "args": dict(args),
        "deployments": [
            {
                "name": deployment,
                "num_replicas": 1,
                "max_ongoing_requests": 512,
                "health_check_period_s": 5.0,
                "graceful_shutdown_timeout_s": 2.0,
                "ray_actor_options": actor,
                **options,
            }
        ],
    }


@contextmanager
def own_ray(folder: Path, environ: Mapping[str, str]) -> Iterator[Any]:
    """A Ray of this folder's own with this process as a driver: its `ServeOperator`. Ended after."""
    note = folder / "ray.json"
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    ray = asyncio.run(local_ray.start(note, {**environ, "PYTHONPATH": path}, cpus=16, gpus=None, clock=SystemClock()))
    try:
        os.environ.update(ray.environment)
        from ray._raylet import AuthenticationTokenLoader, Config

        from literesearcher.cluster.serving import connected

        # Ray reads these when it is imported, which a benchmark's own imports may have done.
        Config.initialize('{"AUTH_MODE":"token"}')
        AuthenticationTokenLoader.instance().reset_cache()

        with connected(ray.address) as operator:
            yield operator
    finally:
        local_ray.end(note, ray)


def deploy(operator: Any, applications: list[dict[str, Any]], *, level: str = "WARNING") -> dict[str, int]:
    """Run them; the process id of each one's replica when all are there."""
    operator.apply(
        {
            "proxy_location": "Disabled",
            "http_options": {"host": local_ray.HOST, "port": 0},
            "logging_config": {"log_level": level, "enable_access_log": level == "INFO"},
            "applications": applications,
        }
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        found = {one.name: one for one in operator.running()}
        if len(found) == len(applications) and all(one.healthy for one in found.values()):
            pids = {name: one.replicas[0].pid for name, one in found.items()}
            if all(pids.values()):
                return pids
        failed = [one for one in found.values() if one.state == "DEPLOY_FAILED"]
        if failed or time.monotonic() > deadline:
            raise SystemExit(f"the applications did not start: {failed or found}")
        time.sleep(0.2)
