"""Weights, KV cache and the loop over tokens. Everything here runs on one thread, one generation after another.

Owns: the model in memory, the cache of the last conversation, when a generation ends. Refuses to know: asyncio,
messages, jobs. Above: `engine.transformers.engine`. Below: torch and Transformers, imported when the model is loaded.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from literesearcher.engine.raw_call import RawCall
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.engine.transformers.sampling import Sampler
from literesearcher.engine.transformers.writing import Writing
from literesearcher.research.messages import Sampling

_PREFILL = 1_024
"""Prompt tokens of one step: a cancelled call ends between two, and the memory of a step stays small."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One generation. `kept`: it is a turn of a conversation that goes on; `put` gets all text so far after each token;
    `cancelled` ends it."""

    ids: list[int]
    sampling: Sampling
    max_tokens: int
    kept: bool = True
    raw: RawCall | None = None
    put: Callable[[str], None] | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of it. `ids` and `logprobs`: all that was generated, the token that ended it included."""

    text: str
    finish_reason: str
    matched_stop: str | None
    ids: list[int]
    logprobs: list[float]
    cached_tokens: int
    others: list[tuple[tuple[int, float], ...]] = field(default_factory=list)
    """The likeliest in each token's place, where they were asked for."""


@dataclass(slots=True)
class _Conversation:
    """A KV cache, and the tokens that it holds."""

    cache: Any
    held: list[int] = field(default_factory=list)


class Cancelled(Exception):
    """The work was called off."""


class Runtime:
    """A loaded model. Made, and used, on one thread."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, ends: Sequence[int]) -> None:
        """Load the checkpoint, on a GPU where there is one. `ends`: tokens that end a turn, beside the checkpoint's
        own. OSError, ValueError or RuntimeError where it cannot be loaded."""
        self._torch: Any = importlib.import_module("torch")
        self._has: Any = importlib.import_module("transformers")
        # Its bars would run through the terminal's own lines.
        self._has.utils.logging.disable_progress_bar()
        self.device = "cuda" if self._torch.cuda.is_available() else "cpu"
        loader = self._has.AutoModelForCausalLM
        self._model: Any = loader.from_pretrained(folder, dtype="auto", local_files_only=True).to(self.device).eval()
        self._tokenizer = tokenizer
        own = self._model.generation_config.eos_token_id
        self._ends = {*ends, *(own if isinstance(own, list) else [own] if own is not None else [])}
        self._last: _Conversation | None = None
        """The last conversation that goes on. A page that is read between two of its turns leaves it alone."""

    def write(self, work: Work) -> Written:
        """Generate. `Cancelled` between two tokens; RuntimeError, of which running out of memory is one."""
        with self._torch.inference_mode():
            try:
                return self._write(work)
            except RuntimeError:
                # What the cache holds after half a step is unknown.
                self._last = None
                raise

    def _write(self, work: Work) -> Written:
        conversation = self._conversation(work)
        cached = len(conversation.held)
        scores = self._read(work.ids[cached:], conversation, work)
        ids = self._torch.tensor([work.ids], device=self.device)
        raw = work.raw or RawCall()
        ends = {*raw.stop_token_ids, *(() if raw.ignore_eos else self._ends)}
        sampler = Sampler(
            work.sampling, prompt_tokens=len(work.ids), device=self.device, raw=raw, ends=ends | self._ends
        )
        writing = Writing(self._tokenizer, work.sampling.stop)
        generated: list[int] = []
        logprobs: list[float] = []
        others: list[tuple[tuple[int, float], ...]] = []
        reason = "length"
        while len(generated) < work.max_tokens:
            choice = sampler.choose(ids, scores)
            token = choice.token
            generated.append(token)
            logprobs.append(choice.logprob)
            others.append(choice.others)
            if token in ends:
                reason = "stop"
                break
            writing.add(token)
            if writing.matched is not None:
                reason = "stop"
                break
            if work.put is not None:
                work.put(writing.text)
            if len(generated) < work.max_tokens:
                ids = self._torch.cat([ids, ids.new_tensor([[token]])], dim=1)
                scores = self._read([token], conversation, work)
        writing.end()
        if writing.matched is not None:
            reason = "stop"
        return Written(writing.text, reason, writing.matched, generated, logprobs, cached, others)

    def _conversation(self, work: Work) -> _Conversation:
        """What is known of the prompt's beginning, and nothing else."""
        if not work.kept:
            return self._new()
        last, ids = self._last, work.ids
        if last is None:
            self._last = self._new()
            return self._last
        pairs = zip(last.held, ids, strict=False)
        common = next((at for at, (held, asked) in enumerate(pairs) if held != asked), min(len(last.held), len(ids)))
        # The last token is read again: its scores are what the first choice is made by.
        common = min(common, len(ids) - 1)
        if not common or any(last.cache.is_sliding):
            last = self._last = self._new()
        elif common < len(last.held):
            last.cache.crop(common - len(last.held))
            del last.held[common:]
        return last

    def _new(self) -> _Conversation:
        return _Conversation(self._has.DynamicCache(config=self._model.config))

    def _read(self, ids: list[int], conversation: _Conversation, work: Work) -> Any:
        """Take tokens into the cache; the scores (1, vocabulary) of what comes after them."""
        for at in range(0, len(ids), _PREFILL):
            if work.cancelled.is_set():
                raise Cancelled
            part = ids[at : at + _PREFILL]
            answer = self._model(
                input_ids=self._torch.tensor([part], device=self.device),
                past_key_values=conversation.cache,
                use_cache=True,
                logits_to_keep=1,
            )
            conversation.held += part
        return answer.logits[:, -1].float()
