"""The raw model behind the gateway and Serve's own HTTP port, by OpenAI's client, over replicas with made-up timing."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import openai
import pytest

from literesearcher.cli.wiring_raw_model import of_a_gateway_alone
from literesearcher.cluster import local_ray
from literesearcher.engine.openai import OpenAIEngine
from literesearcher.jobs.live import LocalLive
from literesearcher.settings.cluster_sections import ClusterSection
from literesearcher.settings.model import Settings
from literesearcher.settings.sections import EngineSection, GatewaySection
from literesearcher.testing.memory_store import MemoryStore
from literesearcher.testing.served_gateway import FAST, Served, running
from literesearcher.testing.timed_application import DEPLOYMENT, timed_configuration
from literesearcher.testing.timed_engine import Timing
from literesearcher.timing.clock import SystemClock
from published_request import PUBLISHED

TOKEN = "between-us"
MODEL = "timed-model"
PATIENCE = 120.0
QUICK = Timing(prefill_per_second=1e6, decode_per_second=1e5)
SLOW = Timing(prefill_per_second=1e6, decode_per_second=2.0, chunk=1)
"""A thousand words take longer than any of these tests waits."""
MESSAGES: list[Any] = PUBLISHED["messages"]


def answers(cluster: Any, application: str) -> bool:
    """Serve's proxy listens, and knows the application's route."""
    try:
        with urllib.request.urlopen(f"http://{local_ray.HOST}:{cluster.http_port}/-/routes", timeout=10) as answer:
            return f'"/{application}"' in answer.read().decode()
    except OSError:
        return False


@pytest.fixture(scope="module")
def engine(cluster: Any) -> Iterator[Any]:
    """The application `engine`, two replicas."""
    cluster.put(timed_configuration("engine", QUICK, replicas=2, token=TOKEN))
    cluster.until(lambda: answers(cluster, "engine"), "the route")
    yield cluster
    cluster.remove("engine")


@pytest.fixture
def slow(cluster: Any) -> Iterator[str]:
    """One replica that takes its time."""
    cluster.put(timed_configuration("slow", SLOW, replicas=1, script={"words": 1000}, token=TOKEN))
    cluster.until(lambda: answers(cluster, "slow"), "the route")
    yield "slow"
    cluster.remove("slow")


@asynccontextmanager
async def gateway(section: EngineSection, **options: Any) -> AsyncIterator[Served]:
    asked = OpenAIEngine(section, clock=SystemClock())
    gate = GatewaySection(**options)
    async with running(MemoryStore(SystemClock()), LocalLive(), gate, FAST, asked.describe, engine=section) as served:
        try:
            yield served
        finally:
            await asked.aclose()


@asynccontextmanager
async def client(served: Served, tenant: str = "one") -> AsyncIterator[openai.AsyncOpenAI]:
    key = (await served.store.create_key(tenant, ""))[1]
    base = f"{served.base}/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key=key, max_retries=0, timeout=PATIENCE) as made:
        yield made


def found(cluster: Any) -> EngineSection:
    """Where a gateway finds the engine by the settings of a cluster alone."""
    settings = Settings(
        engine=EngineSection(kind="sglang"),
        cluster=ClusterSection(http_host=local_ray.HOST, http_port=cluster.http_port, token=TOKEN),
    )
    return of_a_gateway_alone(settings).engine


async def test_openai_s_client_through_gateway_and_serve(engine: Any) -> None:
    async with gateway(found(engine)) as served, client(served) as asked:
        assert [one.id async for one in asked.models.list()] == [MODEL]
        whole = await asked.chat.completions.create(model=MODEL, seed=5, **PUBLISHED)
        stream: Any = await asked.chat.completions.create(
            model=MODEL, seed=5, stream=True, stream_options={"include_usage": True}, **PUBLISHED
        )
        chunks = [chunk async for chunk in stream]
        text = whole.choices[0].message.content or ""
        assert text.startswith("<think>")
        assert text.endswith("</answer>")
        assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == text
        assert whole.usage is not None
        assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 10
        assert whole.choices[0].logprobs is not None
        assert "".join(one.token for one in whole.choices[0].logprobs.content or []) == text
        several = await asked.completions.create(model=MODEL, prompt=[[1, 2, 3], [4]], n=2, max_tokens=3, seed=5)
        assert [(one.index, one.finish_reason) for one in several.choices] == [(at, "length") for at in range(4)]
        assert several.usage is not None
        assert (several.usage.prompt_tokens, several.usage.completion_tokens) == (4, 12)
        pieces: Any = await asked.completions.create(model=MODEL, prompt="<|im_start|>user\n", stream=True, n=2)
        indexes = {one.choices[0].index async for one in pieces if one.choices}
        assert indexes == {0, 1}


async def test_what_is_refused_at_the_replica_is_refused_at_the_gateway(engine: Any) -> None:
    async with gateway(found(engine)) as served, client(served) as asked:
        for more, said in (({"tools": [{}]}, "tools"), ({"temperature": -1}, "temperature")):
            with pytest.raises(openai.BadRequestError, match=said) as raised:
                await asked.chat.completions.create(model=MODEL, messages=MESSAGES, extra_body=more)
            assert TOKEN not in raised.value.response.text
            assert str(engine.http_port) not in raised.value.response.text
        with pytest.raises(openai.BadRequestError) as too_long:
            await asked.completions.create(model=MODEL, prompt=[1] * 140_000)
        assert too_long.value.code == "context_length_exceeded"
        with pytest.raises(openai.NotFoundError):
            await asked.chat.completions.create(model="gpt-5", messages=MESSAGES)


async def test_serve_s_port_wants_the_service_token_and_never_a_tenant_s_key(engine: Any) -> None:
    base = f"http://{local_ray.HOST}:{engine.http_port}/engine/v1"
    body = {"model": MODEL, "messages": MESSAGES}
    async with gateway(found(engine)) as served, aiohttp.ClientSession() as session:
        key = (await served.store.create_key("one", ""))[1]
        for given, status in (("", 401), (key, 401), (TOKEN, 200)):
            async with session.post(
                f"{base}/chat/completions", json=body, headers={"Authorization": f"Bearer {given}"}
            ) as answer:
                assert answer.status == status
        async with session.post(
            f"{served.base}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {TOKEN}"}
        ) as answer:
            assert answer.status == 401, "the service token is no key of the gateway's"


async def running_at(application: str) -> int:
    """Generations under way in the one replica."""
    from ray import serve

    load = await serve.get_deployment_handle(DEPLOYMENT, application).load.remote()
    return int(load.running)


async def until_running(application: str, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while await running_at(application) != count:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_who_goes_away_ends_the_generation_in_the_replica(cluster: Any, slow: str, stream: bool) -> None:
    section = EngineSection(base_url=f"http://{local_ray.HOST}:{cluster.http_port}/{slow}/v1", api_key=TOKEN)
    async with gateway(section, model_requests=2) as served, client(served) as asked, client(served, "two") as other:
        work = asyncio.ensure_future(
            asked.chat.completions.create(model=MODEL, messages=MESSAGES, stream=stream, n=2, max_tokens=10_000)
        )
        await until_running(slow, 2)
        if stream:
            answer: Any = await work
            assert (await anext(aiter(answer))).choices
        with pytest.raises(openai.RateLimitError):
            await asked.completions.create(model=MODEL, prompt="x")
        one = await other.completions.create(model=MODEL, prompt="x", max_tokens=1)
        assert one.choices, "another's quota is its own"
        if stream:
            await answer.close()
        work.cancel()
        await until_running(slow, 0)
