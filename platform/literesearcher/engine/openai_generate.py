"""SGLang's own `/generate` beside its OpenAI routes: token ids in, the generated ids and the cached share out.

Owns: how such a server is told from others, the request's body, answers and streams in SGLang's form. Used where
endpoint `tokens` meets one: its `/v1/completions` takes ids too, but tells none, and a turn encoded again from its text
is not always what was generated. Refuses to know: connections. Above: `engine.openai`. Below: `engine.sglang`, whose
form this is, and `openai_failures`.
"""

from __future__ import annotations

import math
from typing import Any

import orjson

from literesearcher.engine.delivery import clean, shown
from literesearcher.engine.openai_answer import MAX_BODY, NO_LOGPROB, parse
from literesearcher.engine.openai_failures import from_error_object, garbage
from literesearcher.engine.openai_models import Get
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.engine.sglang.answer import generation_of
from literesearcher.engine.sglang.sampling import sampling_params
from literesearcher.engine.token_history import TokenHistory

PATH = "/generate"
_PAGES = ("/model_info", "/get_model_info")
_STREAM_TOKENS = 32
"""Tokens between two events. By default each event repeats all that came before it: at one a token, 10,000 tokens
would be 500 MB."""


async def offers_generate(base: str, get: Get) -> bool:
    """Does the server whose OpenAI routes are at `base` say of itself what SGLang says? Raises what `get` raises."""
    root = base.removesuffix("/v1")
    for page in _PAGES:
        status, body = await get(root + page)
        if status == 200:
            try:
                told = orjson.loads(body)
            except orjson.JSONDecodeError:
                return False
            return isinstance(told, dict) and "model_path" in told and told.get("is_generation") is not False
    return False


def generate_body(request: GenerationRequest, ids: list[int], *, stream: bool, priority: int | None = None) -> bytes:
    """The request as UTF-8 JSON; `priority` for a server that schedules by it."""
    params = sampling_params(request)
    options: dict[str, Any] = {"sampling_params": params}
    if stream:
        options["stream"] = True
        params["stream_interval"] = _STREAM_TOKENS
    if request.sampling.logprobs:
        options["return_logprob"] = True
    if priority is not None:
        options["priority"] = priority
    return b'{"input_ids":' + orjson.dumps(ids) + b"," + orjson.dumps(options)[1:]


class GeneratedAnswer:
    """Takes in a whole answer (`whole`) or event after event (`chunk`), then gives the `generation`: the same
    steps as `openai_answer.Answer`."""

    most_bytes = 16 * MAX_BODY
    """Of a stream, whose events repeat each other."""

    def __init__(
        self,
        request: GenerationRequest,
        *,
        prompt_tokens: int,
        model: str,
        history: TokenHistory,
        opens_thought: bool,
        secret: str | None,
    ) -> None:
        self._request = request
        self._prompt_tokens = prompt_tokens
        self._model = model
        self._history = history
        self._opens_thought = opens_thought
        self._secret = secret
        self._text = ""
        self._ids: list[int] = []
        self._logprobs: list[tuple[float]] = []
        self._meta: dict[str, Any] = {}
        self._told = 0
        self.done = False

    def whole(self, data: bytes) -> None:
        """Take in an answer that was not streamed."""
        self._take(parse(data))
        self.done = True

    def chunk(self, data: bytes) -> str:
        """Take in one event of a stream; the text that may be shown since."""
        if data == b"[DONE]":
            self.done = True
            return self.flush()
        self._take(parse(data))
        return self._tell(self._text if self.finished else shown(self._text, self._request.sampling.stop))

    def flush(self) -> str:
        """The text that was held back for a stop string that never came."""
        return self._tell(self._text)

    @property
    def finished(self) -> bool:
        """The server said why it stopped."""
        return bool(self._meta.get("finish_reason"))

    def generation(self) -> Generation:
        """What was generated. BoundaryError where the server broke it off, or half an answer came."""
        answer = {"text": self._text, "output_ids": self._ids, "meta_info": self._meta}
        return generation_of(
            answer,
            history=self._history,
            prompt_tokens=self._prompt_tokens,
            model=self._model,
            logprobs=self._request.sampling.logprobs,
            opens_thought=self._opens_thought,
        )

    def _take(self, answer: dict[str, Any]) -> None:
        if answer.get("error"):
            raise from_error_object(answer["error"], secret=self._secret)
        text, ids, meta = answer.get("text"), answer.get("output_ids"), answer.get("meta_info")
        if not isinstance(text, str) or not isinstance(meta, dict):
            raise garbage("neither text nor error")
        count, reason = meta.get("completion_tokens"), meta.get("finish_reason")
        if type(count) is not int or not isinstance(reason, dict | None):
            raise garbage("no count of tokens, or no reason")
        new = ids if isinstance(ids, list) and all(type(one) is int and 0 <= one < 2**32 for one in ids) else []
        logprobs = _logprobs(meta.get("output_token_logprobs"))
        # A server may be set to send only what is new. It counts the tokens all the same.
        if self._ids and len(new) < count:
            text, new, logprobs = self._text + text, [*self._ids, *new], [*self._logprobs, *logprobs]
        self._text, self._ids, self._logprobs = text, new, logprobs
        self._meta = {**meta, "output_token_logprobs": logprobs}

    def _tell(self, text: str) -> str:
        piece, self._told = text[self._told :], max(self._told, len(text))
        return clean(piece)


def _logprobs(found: Any) -> list[tuple[float]]:
    """Of each token, as `generation_of` reads them; those of minus infinity are a number too."""
    if not isinstance(found, list):
        return []
    first = [one[0] if isinstance(one, list) and one else None for one in found]
    return [(float(one) if isinstance(one, int | float) and math.isfinite(one) else NO_LOGPROB,) for one in first]
