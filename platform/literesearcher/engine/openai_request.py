"""The request to an OpenAI-compatible server: bytes put together, the history never serialised again.

Owns: the body of chat and completions calls, which sampling fields a server has refused and goes without from then on.
Refuses to know: connections, answers. Above: `engine.openai`. Below: `research.messages`, `research.rendering`.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import orjson

from literesearcher.engine.port import GenerationRequest
from literesearcher.research.messages import Sampling
from literesearcher.research.rendering import render

logger = logging.getLogger(__name__)

Endpoint = Literal["chat", "completions", "tokens"]

EXTENSIONS = ("top_k", "min_p", "repetition_penalty", "seed", "return_token_ids", "priority")
"""Fields that OpenAI's own API does not know or that servers often lack: a refusal may name none of them."""
_COMMON = ("temperature", "top_p", "presence_penalty", "stop", "logprobs", "stream_options")
_REFUSAL = re.compile(
    r"unrecogni[sz]ed|extra[_ ](?:field|input|forbidden|parameter|argument)|extra_forbidden|unknown|unsupported"
    r"|not (?:permitted|supported|allowed|support)|unexpected|does not support|additional propert",
    re.IGNORECASE,
)


@dataclass
class Dialect:
    """How one server is spoken to. Remembers the sampling fields that it refused."""

    endpoint: Endpoint
    opens_thought: bool
    refused: set[str] = field(default_factory=set)

    def body(
        self,
        request: GenerationRequest,
        model: str,
        *,
        stream: bool,
        ids: list[int] | None = None,
        priority: int | None = None,
    ) -> bytes:
        """The request body as UTF-8 JSON. `ids`: the prompt where the endpoint is `tokens`; `priority`: for a server
        that schedules by it."""
        if self.endpoint == "tokens":
            prompt = b'"prompt":' + orjson.dumps(ids)
        elif self.endpoint == "chat":
            prompt = b'"messages":[' + b",".join([message.wire for message in request.messages]) + b"]"
        else:
            prompt = b'"prompt":' + orjson.dumps(render(request.messages, self.opens_thought))
        options = self._options(request.sampling)
        options["max_tokens"] = request.max_tokens
        if priority is not None and "priority" not in self.refused:
            options["priority"] = priority
        if stream:
            options["stream"] = True
            if "stream_options" not in self.refused:
                options["stream_options"] = {"include_usage": True}
        return b'{"model":' + orjson.dumps(model) + b"," + prompt + b"," + orjson.dumps(options)[1:]

    def _options(self, sampling: Sampling) -> dict[str, object]:
        options: dict[str, object] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "presence_penalty": sampling.presence_penalty,
            "repetition_penalty": sampling.repetition_penalty,
        }
        if sampling.stop:
            options["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            options["seed"] = sampling.seed
        if sampling.logprobs:
            options["logprobs"] = True if self.endpoint == "chat" else 1
        if self.endpoint == "tokens":
            # vLLM answers with the ids then; SGLang passes over it.
            options["return_token_ids"] = True
        for name in self.refused:
            options.pop(name, None)
        return options

    def learn(self, said: str, sent: bytes) -> bool:
        """Take in a 400's words. True where they refuse fields that were sent: ask once more without them.

        A field of EXTENSIONS is refused by being named; a common one only where the words refuse something, since
        "temperature must be at most 2" is the caller's own mistake. Words that refuse something unnamed mean all
        extensions.
        """
        refusing = _REFUSAL.search(said) is not None
        named = [name for name in EXTENSIONS if _names(said, name)]
        if refusing:
            named += [name for name in _COMMON if _names(said, name)]
            if not named and re.search(r"field|argument|param|input|propert|option", said, re.IGNORECASE):
                named = list(EXTENSIONS)
        # By what this body held, not by what is news: calls that ran at once each have to be made again.
        held = [name for name in named if f'"{name}":'.encode() in sent]
        self.refused.update(held)
        for name in held:
            _warn_once(name)
        return bool(held)


@cache
def _warn_once(name: str) -> None:
    """Once a process and field, however many calls and engines meet the refusal."""
    logger.warning("the model server refuses %s: asking without it from now on", name)


def _names(said: str, name: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){name}(?![A-Za-z0-9_])", said) is not None
