"""Jobs an hour of one engine pool, run four ways over the turns of recorded rollouts.

    PYTHON benchmarks/engine_replay.py [--small] [--jobs 20,64,128] [--rollouts DIR] [--replicas N] [--tokenizer DIR]

PYTHON has SGLang and Ray. The model has the shape of Qwen3-4B and random weights, which are never on disk. Each job
sends turn after turn what a rollout sent: its prompt grows by as many tokens, as many are generated (the end is
ignored, so the work is equal whichever way), and it waits for its tool. Rollouts record no times: a search waits 1.5 s
and a page 7.9 s, as the model's authors measured. Twice as many jobs as run at once, a new one when one ends.

    published    `--max-total-tokens 90000`, 20 workers, round robin, as the published quick start
    stock        SGLang with its full pool, Ray's power of two choices
    consistent   the same with Ray's ConsistentHashRouter by job
    ours         router, admission, session cache, priorities, as `cluster up` configures them

Printed: jobs an hour, time to first token, share of prompt tokens found in the cache, retractions. `--small`: a tiny
model on a CPU, lengths by 1/16, pauses by 1/20, twelve turns at most: that shows that all ways run, no GPU's speed.
With one replica a router has no choice, and only pool, workers, admission and cache tell the ways apart.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from ray_stage import PATIENCE, application, deploy, own_ray
from replayed_jobs import Seen, Step, fitting, run_job, steps_of

from literesearcher.cluster.admission.engine_admission import EngineAdmission
from literesearcher.cluster.admission.window import WindowTuning
from literesearcher.cluster.configuration import ROUTER, SERVE_ENVIRONMENT, STATS_SECONDS
from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.cluster.surroundings import Surroundings
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.jobs.model import Backlog
from literesearcher.settings.cluster_sections import SglangSection
from literesearcher.testing.replay.rollouts import load
from literesearcher.timing.clock import SystemClock

SELF_MADE = Path(__file__).parent.parent / "tests" / "data" / "rollouts"
QWEN3_4B = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "vocab_size": 151_936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 262_144,
    "rope_theta": 5_000_000,
    "attention_bias": False,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "bos_token_id": 151_643,
    "eos_token_id": 151_645,
}
TINY: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
TINY |= {"num_key_value_heads": 2, "head_dim": 32, "torch_dtype": "float32"}


@dataclass(frozen=True)
class Scale:
    """How large it is run."""

    lengths: float = 1.0
    pauses: float = 1.0
    turns: int = 1000
    section: Mapping[str, Any] = field(default_factory=lambda: {"device": "cuda", "context_length": 131_072})
    pool: int | None = None
    published_pool: int = 90_000
    prompt: int = 1200
    """Tokens of system prompt and tool signatures; the same for all jobs."""


SMALL = Scale(
    lengths=1 / 16,
    pauses=1 / 20,
    turns=12,
    section={"device": "cpu", "weights": "fp32", "context_length": 2560, "max_running": 32, "health_seconds": PATIENCE},
    pool=32_768,
    published_pool=2560,
    prompt=75,
)


@dataclass(frozen=True)
class Arm:
    """A way to run the pool."""

    name: str
    router: str | None
    workers: int | None = None
    ours: bool = False
    bound_pool: bool = False

    def section(self, model: Path, scale: Scale) -> dict[str, Any]:
        """SGLang's settings."""
        pool = scale.published_pool if self.bound_pool else scale.pool
        context = min(int(scale.section["context_length"]), pool or 10**9)
        given = {**scale.section, "model_path": str(model), "load_format": "dummy", "context_length": context}
        given |= {"session_cache": self.ours, "priority_scheduling": self.ours}
        return given | ({"kv_tokens": pool} if pool else {})


ARMS = (
    Arm("published", "ray.serve.experimental.round_robin_router.RoundRobinRouter", workers=20, bound_pool=True),
    Arm("stock", None),
    Arm("consistent", "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"),
    Arm("ours", ROUTER, ours=True),
)


def engine(args: Mapping[str, Any]) -> Any:
    """The application, loaded by Ray's processes."""
    from literesearcher.cluster.applications import engine_application

    return engine_application(partial(made_engine, dict(args["section"])))


def made_engine(section: Mapping[str, Any]) -> Any:
    """Runs in the replica. Random weights say what no tokenizer would: their text is made of their ids, so that the
    next prompt can repeat them."""
    from literesearcher.engine.sglang.engine import SglangEngine

    class Replayed(SglangEngine):
        """With the ids of whatever was generated."""

        async def _answer(self, *arguments: Any) -> dict[str, Any]:
            answer = await super()._answer(*arguments)
            ids = answer.get("output_ids") or []
            # One that ends nothing: the end's own id would be dropped.
            answer["output_ids"] = [1000 if one >= 151_643 else one for one in ids]
            answer["text"] = self.model.tokenizer.decode(answer["output_ids"])
            return answer

    return Replayed(SglangSection(**section))


async def replay(arm: Arm, rollouts: list[list[Step]], at_once: int, per: int, scale: Scale) -> Seen:
    """`per` times as many jobs as are at once."""
    from ray import serve

    engine = ServeEngine(serve.get_deployment_handle("Engine", arm.name).options(_by_reference=False))
    seen, waiting = Seen(), iter(range(at_once * per))
    # As an orchestrator has it: pools are looked at beside the work, and windows move as fast as jobs do.
    around = Surroundings(backlog=_uncounted, exchange=engine.exchange, clock=SystemClock())
    tuning = WindowTuning(interval_seconds=WindowTuning().interval_seconds * scale.pauses)
    admission = EngineAdmission(around.loads, most=at_once, clock=SystemClock(), tuning=tuning)
    looking = asyncio.create_task(around.watch_forever()) if arm.ours else None
    retracted = await _retracted(engine)
    going: set[asyncio.Task[None]] = set()
    began, left = time.monotonic(), True
    while left or going:
        room = min(at_once, arm.workers or at_once) - len(going)
        if arm.ours and left:
            room = await admission.room(len(going))
        for number in itertools.islice(waiting, max(0, room)) if left else ():
            name, steps = f"job-{at_once:03d}-{number:04d}", rollouts[number % len(rollouts)]
            going.add(asyncio.create_task(run_job(engine, name, scale.prompt, steps, seen)))
            left = number + 1 < at_once * per
        done, going = (
            await asyncio.wait(going, timeout=0.5, return_when=asyncio.FIRST_COMPLETED) if going else ((), going)
        )
        for one in done:
            one.result()
        if not going:
            await asyncio.sleep(0.1)
    seen.seconds = time.monotonic() - began
    if looking is not None:
        looking.cancel()
    seen.retracted = await _retracted(engine) - retracted
    return seen


async def _uncounted() -> Backlog:
    return Backlog(0, 0, 0.0)


async def _retracted(engine: ServeEngine) -> int:
    return sum(load.retracted for load in (await engine.exchange(None, None)).values() if load is not None)


def write_shape(folder: Path, tokenizer: Path, small: bool) -> Path:
    """A checkpoint without weights."""
    folder.mkdir()
    (folder / "config.json").write_bytes(orjson.dumps(QWEN3_4B | (TINY if small else {})))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    return folder


def main() -> None:
    """Run the arms one after another and print the table."""
    data = os.environ.get("LITERESEARCHER_TEST_DATA")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--jobs", default="", help="at once, separated by commas; default 20,64,128, with --small 4")
    parser.add_argument("--rollouts", type=Path, default=Path(data) / "trajectories" if data else SELF_MADE)
    parser.add_argument("--tokenizer", type=Path, default=Path(data or ".") / "qwen3_tokenizer")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--per", type=int, default=2, help="jobs in all, for each that runs at once")
    parser.add_argument("--arms", default=",".join(arm.name for arm in ARMS))
    parser.add_argument("--json", type=Path, help="the figures, for programs")
    given = parser.parse_args()
    scale = SMALL if given.small else Scale()
    numbers = [int(one) for one in (given.jobs or ("4" if given.small else "20,64,128")).split(",")]
    count = Tokenizer.from_file(given.tokenizer / "tokenizer.json").count
    # The narrowest pool decides: the published one.
    context = min(scale.published_pool, int(scale.section["context_length"]))
    rollouts = [
        fitting(
            steps_of(case, count, lengths=scale.lengths, pauses=scale.pauses, turns=scale.turns), scale.prompt, context
        )
        for case in load(given.rollouts)
    ]
    arms = [arm for arm in ARMS if arm.name in given.arms.split(",")]
    print(
        f"{len(rollouts)} rollouts of {sum(map(len, rollouts))} turns; {given.replicas} replica(s); "
        f"{os.cpu_count()} cores"
    )
    print(
        "| at once | way | jobs an hour | TTFT p50 s | p95 s | cached share | retractions | made again "
        "| times published |"
    )
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        model = write_shape(Path(folder) / "qwen3-shape", given.tokenizer, given.small)
        with own_ray(Path(folder), os.environ) as operator:
            for arm in arms:
                _deploy(operator, arm, model, scale, given.replicas)
                for at_once in numbers:
                    seen = asyncio.run(replay(arm, rollouts, at_once, given.per, scale))
                    figures.append(_said(arm, at_once, seen, figures))
                deploy(operator, [])
    if given.json:
        given.json.write_bytes(orjson.dumps(figures))


def _deploy(operator: Any, arm: Arm, model: Path, scale: Scale, replicas: int) -> None:
    section = arm.section(model, scale)
    actor = {"num_gpus": 1} if section["device"] == "cuda" else {}
    options: dict[str, Any] = {"health_check_timeout_s": PATIENCE, "num_replicas": replicas, "actor": actor}
    if arm.router is not None:
        options["request_router_config"] = {"request_router_class": arm.router}
        if arm.ours:
            options["request_router_config"]["request_routing_stats_period_s"] = STATS_SECONDS
    one = application(arm.name, "engine_replay:engine", "Engine", {"section": section}, SERVE_ENVIRONMENT, **options)
    deploy(operator, [one])


def _said(arm: Arm, at_once: int, seen: Seen, before: list[dict[str, Any]]) -> dict[str, Any]:
    rate = 3600 * seen.jobs / seen.seconds
    first = sorted(seen.first)
    base = next((one["jobs_an_hour"] for one in before if (one["way"], one["at_once"]) == ("published", at_once)), rate)
    figures = {
        "way": arm.name,
        "at_once": at_once,
        "jobs": seen.jobs,
        "jobs_an_hour": rate,
        "first_p50": statistics.median(first),
        "first_p95": first[int(0.95 * (len(first) - 1))],
        "cached": seen.cached / max(1, seen.prompt),
        "generated": seen.generated,
        "prompt": seen.prompt,
        "retracted": seen.retracted,
        "repeated": seen.repeated,
    }
    print(
        f"| {at_once} | {arm.name} | {rate:.0f} | {figures['first_p50']:.2f} | {figures['first_p95']:.2f} "
        f"| {figures['cached']:.2f} | {seen.retracted} | {seen.repeated} | {rate / base:.2f} |",
        flush=True,
    )
    return figures


if __name__ == "__main__":
    main()
