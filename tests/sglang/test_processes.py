"""SGLang's processes: two ranks for one, one killed in mid-stream, none left behind, what is told before the start."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cpu_kit.scripted import ScriptedSglang
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.engine.sglang.engine import SglangEngine
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.research.messages import Message, Sampling
from literesearcher.settings.cluster_sections import SglangSection

ASKED = (Message("system", "You are a model."), Message("user", "Say something."))
GREEDY = Sampling(temperature=0.0, presence_penalty=0.0, stop=(), logprobs=True)
SMALL = {"context_length": 4096, "kv_tokens": 16_384, "max_running": 16}


async def answers(engine: ScriptedSglang) -> list[Generation]:
    questions = [f"Say something of {number}." for number in range(12)]
    requests = [GenerationRequest("", (ASKED[0], Message("user", question)), GREEDY, 24) for question in questions]
    return [await engine.generate(request, timeout_seconds=240) for request in requests]


async def test_two_ranks_say_what_one_says(start, random_model: Path):
    one = await answers(await start(random_model, **SMALL))
    engine = await start(random_model, **SMALL, tensor_parallel=2)
    assert len(engine.process_ids) == 3
    two = await answers(engine)
    assert [each.token_ids for each in one] == [each.token_ids for each in two]
    for each, other in zip(one, two, strict=True):
        assert other.logprobs == pytest.approx(each.logprobs, abs=0.02)


async def test_a_scheduler_killed_in_mid_stream_fails_the_calls_at_once_and_the_next_call_starts_anew(
    start, random_model: Path
):
    engine = await start(random_model, **SMALL)
    processes = engine.process_ids
    heard = asyncio.Event()

    async def hear(piece: str) -> None:
        heard.set()

    request = GenerationRequest("job", ASKED, Sampling(temperature=0.0, stop=()), 3000)
    going = [
        asyncio.create_task(engine.generate(request, timeout_seconds=600, on_delta=hear)),
        asyncio.create_task(engine.generate(request, timeout_seconds=600)),
    ]
    await asyncio.wait_for(heard.wait(), 60)
    os.kill(processes[0], signal.SIGKILL)
    async with asyncio.timeout(30):
        ended = await asyncio.gather(*going, return_exceptions=True)
    for error in ended:
        assert isinstance(error, BoundaryError)
        assert (error.code, error.transient) == ("engine_unreachable", True)
    for dead in (engine.check, engine.load):
        with pytest.raises(BoundaryError) as caught:
            await dead()
        assert caught.value.code == "engine_unreachable"
    again = await engine.generate(GenerationRequest("job", ASKED, GREEDY, 3), timeout_seconds=240)
    assert again.usage.completion_tokens == 3
    assert not set(engine.process_ids) & set(processes)
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
    await engine.release("job")


async def test_sglangs_own_metrics_are_there_while_it_runs(start, random_model: Path):
    engine = await start(random_model, **SMALL)
    await answers(engine)
    registry = CollectorRegistry()
    registry.register(engine.collector)
    told = generate_latest(registry).decode()
    for family in ("sglang:num_running_reqs", "sglang:token_usage", "sglang:num_requests_total"):
        assert f"\n{family}{{" in told
    idle = SglangEngine(SglangSection(device="cpu", model_path=str(random_model), context_length=4096))
    assert list(idle.collector.collect()) == []


async def test_closing_leaves_no_process_and_ends_what_was_under_way(one_runtime, start, random_model: Path):
    engine = await start(random_model, **SMALL)
    one_runtime.clear()
    processes = engine.process_ids
    heard = asyncio.Event()

    async def hear(piece: str) -> None:
        heard.set()

    request = GenerationRequest("job", ASKED, Sampling(temperature=0.0, stop=()), 3000)
    going = asyncio.create_task(engine.generate(request, timeout_seconds=600, on_delta=hear))
    await asyncio.wait_for(heard.wait(), 60)
    await engine.aclose()
    with pytest.raises(BoundaryError) as caught:
        await going
    assert caught.value.code == "engine_unreachable"
    assert processes
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
    await engine.aclose()
    with pytest.raises(BoundaryError):
        await engine.generate(request, timeout_seconds=5)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tensor_parallel": 3}, "does not divide the model's 4 heads"),
        ({"context_length": 300_000}, "beyond the model's 262144"),
        ({"context_length": 8192, "kv_tokens": 4096}, "KV_TOKENS=4096"),
        ({"model_path": None}, "MODEL_PATH"),
    ],
)
def test_what_cannot_work_is_told_before_the_start(random_model: Path, fields: dict[str, object], named: str):
    given = {"device": "cpu", "weights": "fp32", "model_path": str(random_model), **fields}
    with pytest.raises(ConfigurationError) as caught:
        SglangEngine(SglangSection.model_validate(given))
    assert named in caught.value.message


async def test_a_wrong_checksum_is_told_before_the_start(random_model: Path):
    section = SglangSection(
        device="cpu", weights="fp32", model_path=str(random_model), context_length=4096, model_sha256="0" * 64
    )
    engine = SglangEngine(section)
    with pytest.raises(ConfigurationError, match="MODEL_SHA256"):
        await engine.start()
    assert engine.process_ids == []
    await engine.aclose()


async def test_more_gpus_than_there_are_is_told_before_the_start(random_model: Path):
    engine = SglangEngine(SglangSection(model_path=str(random_model), tensor_parallel=2, context_length=4096))
    with pytest.raises(ConfigurationError, match="needs as many GPUs on one node, which has"):
        await engine.start()
    await engine.aclose()


async def test_an_id_outside_the_vocabulary_never_reaches_sglang(start, random_model: Path):
    engine = await start(random_model, **SMALL)
    bad = Message("assistant", "x", opened_thought=True, token_ids="////fw==")
    request = GenerationRequest("", (*ASKED, bad, Message("user", "And?")), GREEDY, 3)
    with pytest.raises(BoundaryError) as caught:
        await engine.generate(request, timeout_seconds=60)
    assert caught.value.code == "engine_rejected"
    await engine.check()
