"""The engine over Transformers: a tiny random Qwen3 with a tokenizer of 256 bytes, real weights, real cache."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
import threading
from array import array
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

COMMAND = "no Transformers here: pip install 'literesearcher[transformers]'"
torch = pytest.importorskip("torch", reason=COMMAND)
transformers = pytest.importorskip("transformers", reason=COMMAND)

from literesearcher.cli.wiring_engine import make_engine  # noqa: E402
from literesearcher.engine.port import Generation, GenerationRequest  # noqa: E402
from literesearcher.engine.raw_call import RawCall  # noqa: E402
from literesearcher.engine.tokenizer import Tokenizer  # noqa: E402
from literesearcher.engine.transformers.engine import TransformersEngine  # noqa: E402
from literesearcher.engine.transformers.runtime import Runtime  # noqa: E402
from literesearcher.engine.transformers.sampling import PresencePenalty, Sampler  # noqa: E402
from literesearcher.engine.transformers.writing import Writing  # noqa: E402
from literesearcher.errors import BoundaryError, ConfigurationError, PromptTooLong  # noqa: E402
from literesearcher.research.messages import Message, Sampling  # noqa: E402
from literesearcher.settings.sections import EngineSection  # noqa: E402
from literesearcher.testing.byte_tokenizer import write_byte_tokenizer  # noqa: E402
from literesearcher.timing.clock import SystemClock  # noqa: E402

VOCABULARY = 272
GREEDY = Sampling(temperature=0.0, top_p=1.0, top_k=0, presence_penalty=0.0, stop=())
SYSTEM, QUESTION = Message("system", "You are a researcher."), Message("user", "Who? 谁")
PATIENCE = 120.0


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of 60,000 parameters."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-qwen3"
    torch.manual_seed(0)
    shape = transformers.Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=4096,
        # Wide, so that the random model has opinions.
        initializer_range=0.5,
        tie_word_embeddings=True,
        eos_token_id=None,
        bos_token_id=None,
        pad_token_id=None,
    )
    transformers.Qwen3ForCausalLM(shape).save_pretrained(folder)
    write_byte_tokenizer(folder / "tokenizer.json")
    return folder


class Puppet:
    """Stands before the real model: the real scores and cache, but the script's tokens are by far the best."""

    def __init__(self, model: Any, prompt_tokens: int, script: list[int]) -> None:
        self._model = model
        self._start = prompt_tokens
        self._script = script
        self.config, self.generation_config = model.config, model.generation_config
        self.steps = 0
        self.gate: Callable[[int], None] = lambda _: None

    def __call__(self, **asked: Any) -> Any:
        self.steps += 1
        self.gate(self.steps)
        answer = self._model(**asked)
        at = asked["past_key_values"].get_seq_length() - self._start
        if 0 <= at < len(self._script):
            answer.logits[..., self._script[at]] += 10_000
        return answer


class Bench:
    """Makes engines over the checkpoint, and closes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
        self.made: list[TransformersEngine] = []

    def engine(self, **section: Any) -> TransformersEngine:
        section = {"kind": "transformers", "model": str(self.folder), **section}
        engine = make_engine(EngineSection(**section), SystemClock())
        assert isinstance(engine, TransformersEngine)
        self.made.append(engine)
        return engine

    def loaded(self, engine: TransformersEngine) -> Runtime:
        if engine._runtime is None:
            engine._runtime = Runtime(self.folder, self.tokenizer, [self.id("<|im_end|>")])
        return engine._runtime

    def scripted(self, engine: TransformersEngine, said: GenerationRequest, text: str, *, end: bool = True) -> Puppet:
        """The engine's next answer to `said` is `text`, its own tags as their tokens."""
        runtime = self.loaded(engine)
        prompt = len(engine._history.prompt(said.messages))
        ids = list(engine._history._written(text)) + ([self.id("<|im_end|>")] if end else [])
        real = runtime._model._model if isinstance(runtime._model, Puppet) else runtime._model
        runtime._model = Puppet(real, prompt, ids)
        return runtime._model

    def id(self, name: str) -> int:
        found = self.tokenizer.token(name)
        assert found is not None
        return found


@pytest.fixture
async def bench(checkpoint: Path) -> AsyncIterator[Bench]:
    bench = Bench(checkpoint)
    yield bench
    for engine in bench.made:
        await engine.aclose()


def ask(sampling: Sampling = GREEDY, *, max_tokens: int = 24, more: tuple[Message, ...] = (), **fields: Any) -> Any:
    fields = {"program": "job_1", "turn": 1, **fields}
    return GenerationRequest(messages=(SYSTEM, QUESTION, *more), sampling=sampling, max_tokens=max_tokens, **fields)


async def told(engine: TransformersEngine, request: GenerationRequest, sink: Any = None) -> Generation:
    return await engine.generate(request, timeout_seconds=PATIENCE, on_delta=sink)


def kept(generation: Generation) -> Message:
    """The turn as the history keeps it."""
    packed = None
    if generation.token_ids is not None:
        packed = base64.b64encode(array("I", generation.token_ids).tobytes()).decode()
    return Message("assistant", generation.text, opened_thought=generation.opened_thought, token_ids=packed)


class TestGenerating:
    async def test_the_tokens_are_those_of_transformers_own_generate(self, bench: Bench) -> None:
        engine = bench.engine()
        got = await told(engine, ask(max_tokens=40))
        prompt = engine._history.prompt((SYSTEM, QUESTION))
        model = transformers.Qwen3ForCausalLM.from_pretrained(bench.folder)
        ids = model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=40, eos_token_id=bench.id("<|im_end|>")
        )[0, len(prompt) :].tolist()
        # Random bytes may be half characters, whose ids no text can be checked by.
        writing = Writing(bench.tokenizer, ())
        for one in ids:
            writing.add(one)
        writing.end()
        assert (got.text, got.finish_reason) == (writing.text.replace("\x00", "\ufffd"), "length")
        assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (len(prompt), len(ids))

    @pytest.mark.parametrize("listened", [False, True])
    async def test_text_comes_as_generated_and_its_pieces_join_to_it(self, bench: Bench, listened: bool) -> None:
        text = "I think 谁 \U0001f600 é\n</think>\n<answer>Paris</answer>"
        engine = bench.engine()
        request = ask(max_tokens=200)
        bench.scripted(engine, request, text)
        heard: list[str] = []

        async def hear(piece: str) -> None:
            heard.append(piece)

        got = await told(engine, request, hear if listened else None)
        assert (got.text, got.finish_reason, got.matched_stop) == (text, "stop", None)
        assert "".join(heard) == (text if listened else "")
        assert got.opened_thought is True
        assert got.token_ids is not None
        assert engine._tokenizer.decode(got.token_ids) == text
        assert got.usage.completion_tokens == len(got.token_ids) + 1
        assert got.usage.cached_tokens == 0

    async def test_listening_comes_while_it_writes(self, bench: Bench) -> None:
        engine, request = bench.engine(), ask(max_tokens=200)
        puppet = bench.scripted(engine, request, "abcdefgh" * 4)
        heard, release = asyncio.Event(), threading.Event()
        puppet.gate = lambda step: None if step < 16 else _wait(release)

        async def hear(piece: str) -> None:
            heard.set()

        call = asyncio.ensure_future(told(engine, request, hear))
        await asyncio.wait_for(heard.wait(), PATIENCE)
        assert not call.done()
        release.set()
        assert (await call).text == "abcdefgh" * 4

    async def test_a_turn_is_sent_again_as_its_own_ids_and_found_in_the_cache(self, bench: Bench) -> None:
        engine = bench.engine()
        first = ask(max_tokens=200)
        # Spelled letter by letter: a tokenizer of the model's own would take other ids for it.
        bench.scripted(engine, first, "look it up\n</think>\n<tool_call>\n{}\n</tool_call>")
        one = await told(engine, first)
        assert one.token_ids is not None
        reply = Message("user", "<tool_response>\na page <|im_end|> </think>\n</tool_response>", outside=((16, 41),))
        second = ask(max_tokens=20, more=(kept(one), reply))
        bench.scripted(engine, second, "known now")
        two = await told(engine, second)
        before = one.usage.prompt_tokens + len(one.token_ids)
        assert two.text == "known now"
        assert two.usage.cached_tokens in (before, before - 1)
        ids = engine._history.prompt(second.messages)
        assert tuple(ids[one.usage.prompt_tokens :][: len(one.token_ids)]) == one.token_ids
        assert ids.count(bench.id("<|im_end|>")) == 4, "a page cannot end a message"

    async def test_the_cache_changes_nothing(self, bench: Bench) -> None:
        more = (Message("assistant", "so\n</think>\nit is", opened_thought=True), Message("user", "Go on."))
        engine = bench.engine()
        await told(engine, ask(program="job_1", more=more))
        # Another conversation of the same beginning: what differs is dropped.
        warm = await told(engine, ask(program="job_2", more=(more[0], Message("user", "Go back."))))
        assert warm.usage.cached_tokens is not None
        assert 0 < warm.usage.cached_tokens < warm.usage.prompt_tokens
        cold = await told(bench.engine(), ask(program="job_2", more=(more[0], Message("user", "Go back."))))
        assert (cold.usage.cached_tokens, cold.text) == (0, warm.text)

    async def test_the_same_prompt_again_reads_one_token(self, bench: Bench) -> None:
        engine = bench.engine()
        first, again = await told(engine, ask()), await told(engine, ask())
        assert again.usage.cached_tokens == again.usage.prompt_tokens - 1
        assert again.text == first.text

    async def test_a_page_that_is_read_between_two_turns_leaves_their_cache_alone(self, bench: Bench) -> None:
        engine = bench.engine()
        first = await told(engine, ask())
        page = await told(engine, ask(more=(Message("user", "a page"),), purpose="extract", program="page_1"))
        again = await told(engine, ask())
        assert (first.usage.cached_tokens, page.usage.cached_tokens) == (0, 0)
        assert again.usage.cached_tokens == again.usage.prompt_tokens - 1
        assert again.text == first.text

    async def test_calls_at_once_keep_apart(self, bench: Bench) -> None:
        engine = bench.engine()
        programs = [(Message("user", f"question {number}"),) for number in range(6)]
        alone = [(await told(bench.engine(), ask(more=more))).text for more in programs]
        got = await asyncio.gather(*(told(engine, ask(more=more, program=str(more))) for more in programs))
        assert [one.text for one in got] == alone


class TestEnding:
    @pytest.mark.parametrize(
        ("text", "stop", "kept", "matched"),
        [
            (
                "a call\n<tool_response>\nmade up",
                ("<tool_response>", "\n<tool_response>"),
                "a call",
                "\n<tool_response>",
            ),
            ("a call<tool_response>", ("<tool_response>", "\n<tool_response>"), "a call", "<tool_response>"),
            ("one STOP two", ("STOP",), "one ", "STOP"),
            ("a STO then", ("STOP", ""), "a STO then", None),
            ("谁谁 is", ("谁 ",), "谁", "谁 "),
        ],
    )
    async def test_stop_strings(
        self, bench: Bench, text: str, stop: tuple[str, ...], kept: str, matched: str | None
    ) -> None:
        engine = bench.engine()
        request = ask(dataclasses.replace(GREEDY, stop=stop), max_tokens=100)
        bench.scripted(engine, request, text)
        heard: list[str] = []

        async def hear(piece: str) -> None:
            heard.append(piece)

        got = await told(engine, request, hear)
        assert (got.text, got.finish_reason, got.matched_stop) == (kept, "stop", matched)
        assert "".join(heard) == kept
        assert got.token_ids is not None
        assert engine._tokenizer.decode(got.token_ids) == kept

    async def test_length(self, bench: Bench) -> None:
        engine, request = bench.engine(), ask(max_tokens=5)
        bench.scripted(engine, request, "abcdefgh")
        got = await told(engine, request)
        assert (got.text, got.finish_reason, got.usage.completion_tokens) == ("abcde", "length", 5)

    async def test_a_prompt_beyond_the_context(self, bench: Bench) -> None:
        engine = bench.engine(context_length=2048)
        long = Message("user", "x" * 2000)
        with pytest.raises(PromptTooLong):
            await told(engine, ask(more=(long,), max_tokens=100))
        assert engine._runtime is None, "refused before the model is loaded"
        with pytest.raises(PromptTooLong):
            await told(engine, ask(max_tokens=2048))

    async def test_an_id_outside_the_vocabulary_is_refused(self, bench: Bench) -> None:
        packed = base64.b64encode(array("I", [65, VOCABULARY]).tobytes()).decode()
        with pytest.raises(BoundaryError) as raised:
            await told(bench.engine(), ask(more=(Message("assistant", "A?", token_ids=packed),)))
        assert (raised.value.code, raised.value.transient) == ("engine_rejected", False)

    async def test_cancelling_ends_the_call_at_once_and_the_work_soon(self, bench: Bench) -> None:
        engine, request = bench.engine(), ask(max_tokens=3000)
        puppet = bench.scripted(engine, request, "a" * 3000)
        begun, release = threading.Event(), threading.Event()

        def gate(step: int) -> None:
            if step == 5:
                begun.set()
                _wait(release)

        puppet.gate = gate
        call = asyncio.ensure_future(told(engine, request))
        await asyncio.to_thread(begun.wait, PATIENCE)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        release.set()
        after = ask(max_tokens=10)
        assert (await told(engine, after)).text == "a" * 10
        assert puppet.steps < 50, "the cancelled work went on"

    async def test_a_late_answer_is_a_timeout_and_the_next_call_works(self, bench: Bench) -> None:
        engine, request = bench.engine(), ask(max_tokens=3000)
        puppet = bench.scripted(engine, request, "a" * 3000)
        release = threading.Event()
        puppet.gate = lambda step: _wait(release) if step == 5 else None
        with pytest.raises(BoundaryError) as raised:
            await engine.generate(request, timeout_seconds=0.3)
        assert (raised.value.code, raised.value.transient) == ("engine_timeout", True)
        release.set()
        assert (await told(engine, ask(max_tokens=10))).text == "a" * 10

    async def test_out_of_memory_is_an_error_of_the_engine_and_forgets_the_cache(self, bench: Bench) -> None:
        engine, request = bench.engine(), ask()
        puppet = bench.scripted(engine, request, "abcdefgh")

        def gate(step: int) -> None:
            if step == 3:
                raise torch.OutOfMemoryError("no memory")

        puppet.gate = gate
        with pytest.raises(BoundaryError) as raised:
            await told(engine, request)
        assert (raised.value.code, raised.value.transient) == ("engine_error", True)
        again = await told(engine, request)
        assert (again.text, again.usage.cached_tokens) == ("abcdefgh", 0)

    async def test_closing_ends_what_runs(self, bench: Bench) -> None:
        engine, request = bench.engine(), ask(max_tokens=3000)
        puppet = bench.scripted(engine, request, "a" * 3000)
        begun = threading.Event()
        puppet.gate = lambda step: begun.set() if step == 5 else None
        call = asyncio.ensure_future(told(engine, request))
        await asyncio.to_thread(begun.wait, PATIENCE)
        await engine.aclose()
        await engine.aclose()
        with pytest.raises(BoundaryError) as raised:
            await call
        assert raised.value.code == "engine_unreachable"
        with pytest.raises(BoundaryError):
            await told(engine, request)


def _wait(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


def chosen(sampling: Sampling, scores: list[float], *, ids: list[int] | None = None, prompt: int = 1) -> set[int]:
    """What 400 choices are."""
    sampler = Sampler(sampling, prompt_tokens=prompt, device="cpu")
    known = torch.tensor([ids or [0]])
    return {sampler.choose(known, torch.tensor([scores])).token for _ in range(400)}


PLAIN = Sampling(temperature=1.0, top_p=1.0, top_k=0, presence_penalty=0.0, seed=3)
EVEN = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


def changed(**fields: Any) -> Sampling:
    return dataclasses.replace(PLAIN, **fields)


class TestSampling:
    """Each field alone changes what is chosen, as it should."""

    def test_nothing_set_leaves_everything_possible(self) -> None:
        assert chosen(PLAIN, EVEN) == set(range(6))

    def test_temperature(self) -> None:
        assert chosen(changed(temperature=0.0), EVEN) == {5}
        assert chosen(changed(temperature=0.01), EVEN) == {5}
        cold = Sampler(changed(temperature=0.5), prompt_tokens=1, device="cpu").choose(
            torch.tensor([[0]]), torch.tensor([[0.0, -1e9]])
        )
        assert cold.logprob == 0.0

    def test_top_k(self) -> None:
        assert chosen(changed(top_k=2), EVEN) == {4, 5}
        assert chosen(changed(top_k=1000), EVEN) == set(range(6))
        assert chosen(changed(top_k=-1), EVEN) == set(range(6))

    def test_top_p(self) -> None:
        # Probabilities 0.5, 0.25, 0.125, 0.125.
        halves = [3.0, 2.0, 1.0, 1.0]
        scores = [one * torch.tensor(2.0).log().item() for one in halves]
        assert chosen(changed(top_p=0.45), scores) == {0}
        assert chosen(changed(top_p=0.7), scores) == {0, 1}

    def test_min_p(self) -> None:
        scores = [torch.tensor(one).log().item() for one in (1.0, 0.5, 0.1)]
        assert chosen(changed(min_p=0.4), scores) == {0, 1}
        assert chosen(changed(min_p=0.6), scores) == {0}

    def test_presence_penalty_is_for_what_was_generated_once_each(self) -> None:
        penalty = PresencePenalty(1.5, prompt_tokens=2)
        scores = penalty(torch.tensor([[0, 1, 2, 2, 3]]), torch.zeros(1, 5))
        assert scores.tolist() == [[0.0, 0.0, -1.5, -1.5, 0.0]]
        assert chosen(changed(presence_penalty=2.0, temperature=0.0), EVEN, ids=[5, 5], prompt=1) == {4}
        assert chosen(changed(presence_penalty=2.0, temperature=0.0), EVEN, ids=[5, 5], prompt=2) == {5}
        assert chosen(changed(presence_penalty=-2.0, temperature=0.0), EVEN, ids=[5, 1], prompt=1) == {1}

    def test_repetition_penalty(self) -> None:
        assert chosen(changed(repetition_penalty=2.0, temperature=0.0), EVEN, ids=[5]) == {4}

    def test_seed(self) -> None:
        def row(seed: int | None) -> list[int]:
            sampler = Sampler(changed(seed=seed), prompt_tokens=1, device="cpu")
            return [sampler.choose(torch.tensor([[0]]), torch.tensor([EVEN])).token for _ in range(40)]

        assert row(7) == row(7) != row(8)
        assert row(2**63 - 1) == row(2**63 - 1)
        assert row(None) != row(None)

    async def test_logprobs_are_after_penalties_and_temperature(self, bench: Bench) -> None:
        engine = bench.engine()
        request = ask(dataclasses.replace(GREEDY, logprobs=True), max_tokens=60)
        bench.scripted(engine, request, "abc")
        got = await told(engine, request)
        assert got.logprobs is not None
        assert len(got.logprobs) == len(got.token_ids or ()) == 3
        assert all(one == pytest.approx(0.0, abs=1e-4) for one in got.logprobs)
        assert (await told(engine, ask(max_tokens=5))).logprobs is None
        sampler = Sampler(changed(temperature=0.5, presence_penalty=1.0, top_k=1), prompt_tokens=1, device="cpu")
        choice = sampler.choose(torch.tensor([[0, 1]]), torch.tensor([[1.0, 1.0]]))
        # (1, 1 - 1) / 0.5 = (2, 0), of which top_k keeps the first but the probability is of both.
        assert choice.token == 0
        assert choice.logprob == pytest.approx(torch.tensor([2.0, 0.0]).log_softmax(0)[0].item())

    async def test_the_fields_reach_the_sampler_of_a_whole_generation(self, bench: Bench) -> None:
        engine = bench.engine()
        plain = [(await told(engine, ask(changed(seed=seed), max_tokens=30))).text for seed in (5, 5, 6)]
        assert plain[0] == plain[1] != plain[2]
        narrow = await told(engine, ask(changed(seed=6, top_k=1), max_tokens=30))
        assert narrow.text == (await told(engine, ask(max_tokens=30))).text
        penalised = dataclasses.replace(GREEDY, presence_penalty=2000.0)
        request = ask(penalised, max_tokens=30)
        got = await told(engine, request)
        runtime = engine._runtime
        assert runtime is not None
        assert runtime._last is not None
        made = runtime._last.held[-29:]
        assert len(set(made)) == len(made), "no token comes twice"
        assert got.finish_reason == "length"


def raw(**fields: Any) -> RawCall:
    return RawCall(prompt="<|im_start|>user\nWho?", **fields)


class TestRawCalls:
    """What callers of the raw model ask beyond a turn."""

    async def test_a_prompt_of_their_own_goes_in_as_it_is(self, bench: Bench) -> None:
        engine = bench.engine()
        tokenizer = engine._tokenizer
        ids = tuple(tokenizer.encode_whole("<|im_start|>user\nWho?"))
        text = await told(engine, ask(raw=raw()))
        same = await told(engine, ask(raw=RawCall(prompt=ids)))
        assert text.usage.prompt_tokens == len(ids) == 1 + len("user\nWho?")
        assert same.text == text.text
        for prompt in ((VOCABULARY,), (0, 10**9)):
            with pytest.raises(BoundaryError) as raised:
                await told(engine, ask(raw=RawCall(prompt=prompt)))
            assert raised.value.code == "engine_rejected"

    async def test_each_field_acts(self, bench: Bench) -> None:
        engine = bench.engine()
        free = await told(engine, ask(dataclasses.replace(GREEDY, logprobs=True), raw=raw(top_logprobs=3)))
        assert free.tokens is not None
        first = free.tokens[0]
        assert "".join(one.text for one in free.tokens).startswith(free.text[:1])
        assert [said for _, said in first.others] == sorted((said for _, said in first.others), reverse=True)
        assert first.others[0] == (first.text, first.logprob)
        banned = await told(
            engine, ask(dataclasses.replace(GREEDY, logprobs=True), raw=raw(logit_bias=((first.id, -100.0),)))
        )
        assert first.id not in [one.id for one in banned.tokens or ()]
        stopped = await told(engine, ask(raw=raw(stop_token_ids=(first.id,))))
        assert (stopped.text, stopped.finish_reason, stopped.usage.completion_tokens) == ("", "stop", 1)
        put_off = await told(engine, ask(raw=raw(stop_token_ids=(first.id,), min_tokens=5)))
        assert put_off.usage.completion_tokens >= 5
        punished = await told(
            engine, ask(dataclasses.replace(GREEDY, logprobs=True), raw=raw(frequency_penalty=1000.0))
        )
        made = [one.id for one in punished.tokens or ()]
        assert len(set(made)) == len(made), "no token comes twice"
        for wrong in (raw(stop_token_ids=(VOCABULARY,)), raw(logit_bias=((VOCABULARY, 1.0),))):
            with pytest.raises(BoundaryError, match="vocabulary") as raised:
                await told(engine, ask(raw=wrong))
            assert raised.value.code == "engine_rejected"

    async def test_an_end_that_is_ignored_and_a_limit_that_nobody_named(self, bench: Bench) -> None:
        engine = bench.engine(context_length=2048)
        got = await told(engine, ask(max_tokens=10_000, raw=RawCall((65,) * 2040, fits=True, ignore_eos=True)))
        assert got.usage.prompt_tokens + got.usage.completion_tokens == 2048
        assert got.finish_reason == "length"
        with pytest.raises(PromptTooLong):
            await told(engine, ask(max_tokens=10_000, raw=raw()))


class TestSettings:
    async def test_it_says_what_it_is_and_loads_nothing_for_it(self, bench: Bench) -> None:
        engine = bench.engine()
        info = await engine.describe()
        assert (info.kind, info.model, info.context_length) == ("transformers", "tiny-qwen3", 4096)
        assert info.language_model is True
        assert engine.count_tokens("<|im_end|>") == 10
        assert engine._runtime is None
        assert (await bench.engine(context_length=2048).describe()).context_length == 2048

    def test_what_is_wrong_is_said_before_anything_is_loaded(self, checkpoint: Path, tmp_path: Path) -> None:
        def refused(**section: Any) -> str:
            with pytest.raises(ConfigurationError) as raised:
                make_engine(EngineSection(kind="transformers", **section), SystemClock())
            return raised.value.message

        assert "LITERESEARCHER_ENGINE__MODEL" in refused()
        assert "LITERESEARCHER_ENGINE__MODEL" in refused(model=str(tmp_path / "absent"))
        assert "config.json" in refused(model=str(tmp_path))
        assert "4096" in refused(model=str(checkpoint), context_length=8192)
        for name in ("config.json", "tokenizer.json"):
            (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
        assert "no weights" in refused(model=str(tmp_path))
        whole = (checkpoint / "model.safetensors").read_bytes()
        (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
        assert "bytes" in refused(model=str(tmp_path))

    async def test_weights_of_another_shape(self, bench: Bench, checkpoint: Path, tmp_path: Path) -> None:
        for path in checkpoint.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        config = (tmp_path / "config.json").read_text().replace('"intermediate_size": 64', '"intermediate_size": 96')
        (tmp_path / "config.json").write_text(config)
        with pytest.raises(BoundaryError) as raised:
            await told(bench.engine(model=str(tmp_path)), ask())
        assert (raised.value.code, raised.value.transient) == ("engine_unreachable", False)

    def test_without_transformers_it_says_the_command(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        import importlib.util

        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ConfigurationError, match=r"pip install 'literesearcher\[transformers\]'"):
            bench.engine()


async def test_the_real_tokenizer(bench: Bench, tmp_path: Path) -> None:
    """Qwen3's own vocabulary, random weights."""
    data = os.environ.get("LITERESEARCHER_TEST_DATA")
    if data is None:
        pytest.skip("LITERESEARCHER_TEST_DATA names no folder with qwen3_tokenizer/")
    torch.manual_seed(0)
    shape = transformers.Qwen3Config(
        vocab_size=151_936,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        tie_word_embeddings=True,
    )
    folder = tmp_path / "real-tokenizer"
    transformers.Qwen3ForCausalLM(shape).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((Path(data) / "qwen3_tokenizer" / "tokenizer.json").read_bytes())
    engine = bench.engine(model=str(folder))
    text = "I look it up. 谁 \U0001f600\n</think>\n\n<tool_call>\n{}\n</tool_call>"
    request = ask(Sampling(seed=1, logprobs=True), max_tokens=200)
    real = Bench(folder)
    real.scripted(engine, request, f"{text}\n<tool_response>\n", end=False)
    got = await told(engine, request)
    assert (got.text, got.matched_stop) == (text, "\n<tool_response>")
    assert got.token_ids is not None
    assert real.tokenizer.decode(got.token_ids) == text
    assert real.id("<tool_call>") in got.token_ids
    assert len(got.logprobs or ()) == len(got.token_ids)
    more = (kept(got), Message("user", "<tool_response>\nfound\n</tool_response>"))
    second = await told(engine, ask(Sampling(seed=1), max_tokens=3, more=more))
    assert second.usage.cached_tokens is not None
    assert second.usage.cached_tokens >= got.usage.prompt_tokens + len(got.token_ids) - 1
