"""Tokens a second from an orchestrator's process to SGLang: over Ray Serve handles, beside SGLang's own HTTP server.

    PYTHON benchmarks/ray_engine.py --model FOLDER [--jobs 32] [--rounds 5] [--tokens 128] [--device cpu]

PYTHON has SGLang and Ray. Two SGLangs with the same flags and model: one in an engine replica, one as its own
server. Both get the same prompts with as many tokens to generate whatever is said (the end is ignored), so many at
once; the sides alternate, and the ratio is the median over the rounds. The caller over Ray is a replica; the one over
HTTP is this process, with aiohttp and orjson. Whole answers, as where nobody listens; `--listen` streams on both
sides. On a CPU the callers share the cores with SGLang. Without --model: a random tiny one by the tests' CPU kit, with
the tokenizer of LITERESEARCHER_TEST_DATA. Exits 1 where the ratio is below the goal.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from ray_stage import PATIENCE, ROUTER, application, cpu_seconds, deploy, own_ray

from literesearcher.cluster.configuration import SERVE_ENVIRONMENT
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.engine.raw_call import RawCall
from literesearcher.engine.sglang.arguments import environment, server_arguments
from literesearcher.research.messages import Sampling
from literesearcher.settings.cluster_sections import SglangSection

GOAL = 0.9
PROMPT = 512
HOST = "127.0.0.1"
KIT = Path(__file__).parent.parent / "tests"


def prompt(job: int, number: int) -> list[int]:
    """Ids of words, other ones for each call: nothing of it is in a cache."""
    return [1000 + (job * 7919 + number * 104_729 + at * 31) % 90_000 for at in range(PROMPT)]


class Caller:
    """The orchestrator's side: a replica with a handle."""

    async def calls(self, application: str, jobs: int, number: int, tokens: int, listen: bool) -> tuple[int, float]:
        """One generation for each of so many jobs at once: (tokens, seconds)."""
        from ray import serve

        from literesearcher.cluster.serve_engine import ServeEngine

        engine = ServeEngine(serve.get_deployment_handle("Engine", application))

        async def heard(text: str) -> None:
            """As cheap as can be."""

        async def one(job: int) -> int:
            asked = GenerationRequest(
                f"job-{number:03d}-{job:03d}",
                (),
                Sampling(stop=()),
                tokens,
                purpose="raw",
                prompt_tokens=PROMPT,
                raw=RawCall(prompt=tuple(prompt(job, number)), ignore_eos=True),
            )
            answer: Generation = await engine.generate(
                asked, timeout_seconds=PATIENCE, on_delta=heard if listen else None
            )
            return answer.usage.completion_tokens

        began = time.monotonic()
        done = await asyncio.gather(*map(one, range(jobs)))
        return sum(done), time.monotonic() - began


def caller(args: Mapping[str, Any]) -> Any:
    """The caller's application."""
    from ray import serve

    made: Any = serve.deployment(Caller, name="Caller")
    return made.bind()


def engine(args: Mapping[str, Any]) -> Any:
    """The engine's application."""
    from literesearcher.cluster.applications import engine_application

    return engine_application(partial(made_engine, dict(args["section"])))


def made_engine(section: Mapping[str, Any]) -> Any:
    """Runs in the replica."""
    from literesearcher.engine.sglang.engine import SglangEngine

    return SglangEngine(SglangSection(**section))


async def over_http(url: str, jobs: int, number: int, tokens: int, listen: bool) -> tuple[int, float]:
    """The same calls to SGLang's own server."""
    sampling = {"max_new_tokens": tokens, "ignore_eos": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20}
    sampling |= {"min_p": 0.0, "presence_penalty": 1.1, "repetition_penalty": 1.0}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(job: int) -> int:
            body = {"input_ids": prompt(job, number), "sampling_params": sampling, "stream": listen}
            async with session.post(f"{url}/generate", data=orjson.dumps(body), headers=HEADERS) as answer:
                assert answer.status == 200, await answer.text()
                if not listen:
                    return int(orjson.loads(await answer.read())["meta_info"]["completion_tokens"])
                count = 0
                async for line in answer.content:
                    if line.startswith(b"data: {"):
                        count = int(orjson.loads(line[6:])["meta_info"]["completion_tokens"])
                return count

        began = time.monotonic()
        done = await asyncio.gather(*map(one, range(jobs)))
        return sum(done), time.monotonic() - began


HEADERS = {"Content-Type": "application/json"}


@contextmanager
def own_server(section: SglangSection, log: Path) -> Iterator[tuple[str, int]]:
    """SGLang's HTTP server with the flags of our engine: (URL, process id)."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    assert section.model_path is not None
    flags = [*server_arguments(section, section.model_path), "--host", HOST, "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "sglang.launch_server", *flags, "--skip-server-warmup"],
            env={**os.environ, **environment(section), "HF_HUB_OFFLINE": "1"},
            stdout=out,
            stderr=out,
        )
    url, deadline = f"http://{HOST}:{port}", time.monotonic() + PATIENCE
    try:
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"SGLang's server did not start: {log.read_text()[-800:]}")
            try:
                urllib.request.urlopen(f"{url}/health", timeout=10).close()
                break
            except OSError:
                time.sleep(0.5)
        yield url, process.pid
    finally:
        for child in [*children(process.pid), process.pid]:
            subprocess.run(["kill", "-9", str(child)], check=False)
        process.wait()


def children(parent: int) -> list[int]:
    """Process ids of all that descend from it."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found, level = [], {parent}
    while level:
        level = {pid for pid, its in parents.items() if its in level}
        found += sorted(level)
    return found


class Clocks:
    """CPU of one side by process."""

    def __init__(self, caller: int, front: int) -> None:
        self._pids = {"caller": [caller], "front": [front], "SGLang's processes": children(front)}
        self.spent = dict.fromkeys(self._pids, 0.0)

    def read(self) -> dict[str, float]:
        """Seconds so far."""
        return {name: sum(map(cpu_seconds, pids)) for name, pids in self._pids.items()}

    def add(self, before: dict[str, float]) -> None:
        """What came since."""
        for name, now in self.read().items():
            self.spent[name] += now - before[name]


def main() -> None:
    """Measure, print, and exit 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--jobs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--listen", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or random_model(Path(folder) / "model")
        section: dict[str, Any] = {"model_path": str(model), "device": given.device}
        if given.device == "cpu":
            section |= {"weights": "fp32", "context_length": 4096, "kv_tokens": 65_536, "max_running": given.jobs}
            section |= {"health_seconds": PATIENCE}
        else:
            # Two of them share the card.
            section |= {"memory_fraction": 0.4}
        with (
            own_server(SglangSection(**section), Path(folder) / "server.log") as (url, server),
            own_ray(Path(folder), os.environ) as operator,
        ):
            ratio = measure(operator, url, server, section, given)
    print(f"\ngoal {GOAL}: {'MISSED' if ratio < GOAL else 'met'}")
    raise SystemExit(ratio < GOAL)


def random_model(folder: Path) -> Path:
    """By the kit, in a process of its own."""
    tokenizer = Path(os.environ["LITERESEARCHER_TEST_DATA"]) / "qwen3_tokenizer"
    program = "import sys; from pathlib import Path; from cpu_kit.tiny_model import write_random; "
    program += "write_random(*map(Path, sys.argv[1:]))"
    path = os.pathsep.join([str(KIT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", program, str(tokenizer), str(folder)], check=True, env=environ)
    return folder


def measure(operator: Any, url: str, server: int, section: dict[str, Any], given: argparse.Namespace) -> float:
    """Prints the table; the ratio."""
    from ray import serve

    gpus: dict[str, Any] = {"actor": {"num_gpus": 1}} if section["device"] == "cuda" else {}
    pids = deploy(
        operator,
        [
            application("caller", "ray_engine:caller", "Caller", {}, SERVE_ENVIRONMENT),
            application(
                "engine",
                "ray_engine:engine",
                "Engine",
                {"section": section},
                SERVE_ENVIRONMENT,
                request_router_config=ROUTER,
                health_check_timeout_s=PATIENCE,
                **gpus,
            ),
        ],
    )
    handle: Any = serve.get_deployment_handle("Caller", "caller")
    clocks = {"Ray Serve handles": Clocks(pids["caller"], pids["engine"]), "HTTP server": Clocks(os.getpid(), server)}
    rates: dict[str, list[float]] = {name: [] for name in clocks}
    total = dict.fromkeys(clocks, 0)
    for number in range(given.rounds + 1):
        for name in clocks if number % 2 else reversed(clocks):
            before = clocks[name].read()
            asked = (given.jobs, number, given.tokens, given.listen)
            if name == "HTTP server":
                tokens, seconds = asyncio.run(over_http(url, *asked))
            else:
                tokens, seconds = handle.calls.remote("engine", *asked).result(timeout_s=PATIENCE)
            assert tokens == given.jobs * given.tokens, f"{name} made {tokens} tokens"
            # The first round makes connections.
            if number:
                clocks[name].add(before)
                rates[name].append(tokens / seconds)
                total[name] += tokens
    print(f"{given.jobs} at once, {PROMPT} tokens in, {given.tokens} out, {'streamed' if given.listen else 'whole'};")
    print(f"median of {given.rounds} rounds; {section['device']}; {os.cpu_count()} cores for all processes; ")
    print(
        "| way | tokens a second | rounds | CPU ms of 1,000 tokens: caller | replica or server | SGLang's processes |"
    )
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for name, each in rates.items():
        spent = " | ".join(f"{1e6 * seconds / total[name]:.0f}" for seconds in clocks[name].spent.values())
        print(f"| {name} | {statistics.median(each):.0f} | {min(each):.0f} to {max(each):.0f} | {spent} |")
    ratios = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    print(f"\nratio of each round: {', '.join(f'{one:.2f}' for one in ratios)}; median {statistics.median(ratios):.2f}")
    return float(statistics.median(ratios))


if __name__ == "__main__":
    main()
