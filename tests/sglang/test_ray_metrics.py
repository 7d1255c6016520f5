"""SGLang's figures of every replica, as whoever scrapes a Ray node reads them, and as they come to be true."""

from __future__ import annotations

import re
import urllib.request
from collections import defaultdict

from cpu_kit.served import Served, until
from literesearcher.engine.port import GenerationRequest
from literesearcher.research.messages import Message, Sampling
from literesearcher.telemetry.engine_metrics import GAUGES

PREFIX = "ray_literesearcher_engine_"
"""Ray puts its own name before every metric."""


def scraped(pages: list[str]) -> dict[str, dict[str, float]]:
    """Figure → replica → value."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for page in pages:
        with urllib.request.urlopen(page, timeout=20) as answer:
            text = answer.read().decode()
        for name, labels, value in re.findall(rf"^{PREFIX}(\w+)\{{(.*)\}} (\S+)$", text, re.MULTILINE):
            (replica,) = re.findall(r'replica="([^"]+)"', labels)
            found[name.removesuffix("_total")][replica] = float(value)
    return found


async def test_the_pages_of_the_nodes_tell_of_the_kv_pool_and_the_cache_of_each_replica(served: Served) -> None:
    pages = [node.metrics for node in served.operator.nodes()]
    engine = served.engine
    before = scraped(pages)
    prompt = (Message("system", "You are a model."), Message("user", "Say something of the sea. " * 40))
    used = cached = 0
    for turn in (1, 2, 3):
        request = GenerationRequest(
            "metered", prompt, Sampling(temperature=0.0, stop=()), 10, turn=turn, last_replica=None
        )
        generation = await engine.generate(request, timeout_seconds=240)
        used += generation.usage.prompt_tokens
        cached += generation.usage.cached_tokens or 0
    replica = generation.replica
    assert replica is not None
    assert cached > used / 2

    def grown(name: str) -> float:
        now = scraped(pages)[name]
        (own,) = [each for each in now if each.endswith(replica)] or [None]
        return now[own] - before[name].get(own, 0.0) if own else 0.0

    until(lambda: grown("cached_tokens") >= cached, "the cache's hits")
    until(lambda: grown("prompt_tokens") >= used, "the tokens of prompts")
    assert grown("generated_tokens") >= 30
    ids = {one.name for one in served.replicas()}

    def whole() -> bool:
        now = scraped(pages)
        return all(any(known.endswith(one) for known in now[name]) for name in GAUGES for one in ids)

    until(whole, "all gauges of both replicas")
    now = scraped(pages)
    capacity = {value for each, value in now["kv_capacity_tokens"].items() if any(each.endswith(one) for one in ids)}
    assert capacity == {32_768.0}
    await engine.release("metered")
