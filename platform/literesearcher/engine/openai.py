"""The engine over any OpenAI-compatible server: SGLang, vLLM, llama.cpp, or a hosted API.

Owns: connections, deadlines, streaming, one try a call. Refuses to know: jobs, retries, the model's text protocol.
Above: the orchestrator and page extraction, through `engine.port`. Below: `openai_request` (what is sent),
`openai_answer` (what comes back), `openai_generate` (the same over SGLang's own route), `openai_failures` (what went
wrong), `openai_models` (which model).
"""

from __future__ import annotations

import asyncio
import dataclasses
from types import TracebackType

import aiohttp
from yarl import URL

from literesearcher.engine.openai_answer import MAX_BODY, Answer, clean
from literesearcher.engine.openai_failures import from_exception, from_status, garbage
from literesearcher.engine.openai_generate import PATH, GeneratedAnswer, generate_body, offers_generate
from literesearcher.engine.openai_models import ask_info, priority_sign
from literesearcher.engine.openai_request import Dialect
from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.engine.sglang.sampling import priority
from literesearcher.engine.token_history import TokenHistory
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import BoundaryError, ConfigurationError, PromptTooLong
from literesearcher.research.messages import Usage
from literesearcher.settings.sections import EngineSection
from literesearcher.timing.clock import Clock

_MAX_LINE = 4 * 1024 * 1024
_CONNECT_SECONDS = 10.0
_INLINE_CHARACTERS = 8_000
"""More new text than this is encoded in a thread."""
_DESCRIBE_SECONDS = 15.0


class OpenAIEngine:
    """Implements `engine.port.Engine`. Connections open at the first call and are kept."""

    def __init__(self, section: EngineSection, *, clock: Clock) -> None:
        """Raises ConfigurationError without a base URL, or with a tokenizer file that cannot be read."""
        if not section.base_url:
            raise ConfigurationError(
                "engine openai needs a base URL: set LITERESEARCHER_ENGINE__BASE_URL (ends in /v1)"
            )
        self._section = section
        self._clock = clock
        self._base = section.base_url.rstrip("/")
        self._secret = section.api_key.get_secret_value() if section.api_key else None
        self._dialect = Dialect(endpoint=section.endpoint, opens_thought=section.opens_thought)
        path = "/chat/completions" if section.endpoint == "chat" else "/completions"
        self._opens_thought = section.opens_thought if section.endpoint != "chat" else None
        self._url = URL(self._base + path)
        self._generate_url = URL(self._base.removesuffix("/v1") + PATH)
        self._generates: bool | None = None
        self._sign: int | None = None
        self._headers = {"Content-Type": "application/json"}
        if self._secret:
            self._headers["Authorization"] = f"Bearer {self._secret}"
        self._tokenizer = Tokenizer.from_file(section.tokenizer_file) if section.tokenizer_file else None
        self._history = self._histories() if section.endpoint == "tokens" else None
        self._session: aiohttp.ClientSession | None = None
        self._info: EngineInfo | None = None
        self._describing = asyncio.Lock()

    async def describe(self) -> EngineInfo:
        """Model and context length, asked once. ConfigurationError where the server leaves open which model to use."""
        if self._info is None:
            async with self._describing:
                if self._info is None:
                    self._info = await ask_info(self._section, self._get)
        return self._info

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """One generation. A field that the server refuses is left out and the call made once more."""
        model = (await self.describe()).model
        deadline = self._clock.monotonic() + min(timeout_seconds, self._section.request_timeout_seconds)
        ids = await self._ids(request)
        rank = await self._rank(request)
        wanted = self._section.stream
        stream = wanted == "always" or (wanted == "auto" and on_delta is not None)
        while True:
            url, body, answer = self._call(
                request, model, ids, stream=stream, natively=await self._natively(), rank=rank
            )
            left = max(0.001, deadline - self._clock.monotonic())
            if await self._attempt(url, body, answer, left, on_delta):
                return self._counted(self._settled(answer.generation()))

    def count_tokens(self, text: str) -> int | None:
        """Tokens by the model's own tokenizer, None where no file was named."""
        return self._tokenizer.count(text) if self._tokenizer else None

    async def aclose(self) -> None:
        """Close connections. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _call(
        self,
        request: GenerationRequest,
        model: str,
        ids: list[int] | None,
        *,
        stream: bool,
        natively: bool,
        rank: int | None,
    ) -> tuple[URL, bytes, Answer | GeneratedAnswer]:
        """Where to, what to send, and what takes in what comes back."""
        if natively and ids is not None and self._history is not None:
            generated = GeneratedAnswer(
                request,
                prompt_tokens=len(ids),
                model=model,
                history=self._history,
                opens_thought=self._section.opens_thought,
                secret=self._secret,
            )
            return self._generate_url, generate_body(request, ids, stream=stream, priority=rank), generated
        answer = Answer(model=model, stop=request.sampling.stop, opens_thought=self._opens_thought, secret=self._secret)
        return self._url, self._dialect.body(request, model, stream=stream, ids=ids, priority=rank), answer

    async def _rank(self, request: GenerationRequest) -> int | None:
        """The request's place in the server's own queue, None where there is none. Asked until it says either."""
        if self._sign is None:
            try:
                self._sign = await priority_sign(self._base, self._get)
            except BoundaryError as error:
                if error.transient:
                    return None
                self._sign = 0
        return self._sign * priority(request) if self._sign else None

    async def _natively(self) -> bool:
        """Does a server that takes token ids take them on SGLang's own route? Asked until it says either."""
        if self._history is None:
            return False
        if self._generates is None:
            try:
                self._generates = await offers_generate(self._base, self._get)
            except BoundaryError:
                return False
        return self._generates

    async def _attempt(
        self, url: URL, body: bytes, answer: Answer | GeneratedAnswer, seconds: float, on_delta: DeltaSink | None
    ) -> bool:
        """True when `answer` is whole; False when the server refused a field, or SGLang's own route, and is to be
        asked without it."""
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(_CONNECT_SECONDS, seconds))
        call = self._open().post(url, data=body, headers=self._headers, timeout=timeout, allow_redirects=False)
        async with _Classified(str(url)):
            async with call as response:
                if response.status != 200:
                    said = await _read(response, 65_536, cut=True)
                    if isinstance(answer, GeneratedAnswer):
                        if response.status in (404, 405):
                            self._generates = False
                            return False
                    elif response.status in (400, 422) and self._learns(said, body):
                        return False
                    raise from_status(
                        response.status, response.headers, said, now=self._clock.now(), secret=self._secret
                    )
                if response.content_type == "text/event-stream":
                    await _follow(response, answer, on_delta)
                else:
                    answer.whole(await _read(response, MAX_BODY))
                    if on_delta is not None and (text := answer.generation().text):
                        await on_delta(text)
        return True

    def _learns(self, said: bytes, sent: bytes) -> bool:
        failure = from_status(400, {}, said, now=self._clock.now(), secret=self._secret)
        return not isinstance(failure, PromptTooLong) and self._dialect.learn(said.decode("utf-8", "replace"), sent)

    def _histories(self) -> TokenHistory:
        if self._tokenizer is None:
            raise ConfigurationError(
                "LITERESEARCHER_ENGINE__ENDPOINT=tokens needs the model's tokenizer.json: "
                "set LITERESEARCHER_ENGINE__TOKENIZER_FILE"
            )
        return TokenHistory(self._tokenizer, opens_thought=self._section.opens_thought)

    async def _ids(self, request: GenerationRequest) -> list[int] | None:
        """The prompt as ids, where those are sent. Only a job's turns are one growing conversation."""
        if self._history is None or self._tokenizer is None:
            return None
        program = request.program if request.purpose in ("turn", "context_answer") else ""
        if self._history.new_characters(request.messages, program) > _INLINE_CHARACTERS:
            ids = await asyncio.to_thread(self._history.prompt, request.messages, program=program)
        else:
            ids = self._history.prompt(request.messages, program=program)
        if max(ids) >= self._tokenizer.size:
            # Another model's, in the job's journal: SGLang would end its whole process over it.
            raise BoundaryError(
                "a token id of the history is none of the tokenizer's", code="engine_rejected", transient=False
            )
        return ids

    def _settled(self, generation: Generation) -> Generation:
        """With the generated ids as the next prompt will repeat them; ids that nobody could check are none."""
        ids = generation.token_ids
        if ids is None:
            return generation
        known = self._tokenizer is not None and max(ids, default=0) < self._tokenizer.size
        settled = self._history.settled(ids, generation.text) if known and self._history is not None else None
        return dataclasses.replace(generation, token_ids=settled)

    def _counted(self, generation: Generation) -> Generation:
        """With a tokenizer, a server that tells no usage still gets its generated tokens counted."""
        if generation.usage.completion_tokens or self._tokenizer is None or not generation.text:
            return generation
        usage = Usage(generation.usage.prompt_tokens, self._tokenizer.count(generation.text))
        return dataclasses.replace(generation, usage=usage)

    async def _get(self, url: str) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=_DESCRIBE_SECONDS, sock_connect=_CONNECT_SECONDS)
        async with _Classified(url):
            async with self._open().get(url, headers=self._headers, timeout=timeout, allow_redirects=False) as response:
                body = await _read(response, MAX_BODY)
                if response.status in (401, 403, 408, 429) or response.status >= 500:
                    raise from_status(
                        response.status, response.headers, body, now=self._clock.now(), secret=self._secret
                    )
                return response.status, body

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # The orchestrator bounds how many calls run; a bound here would only hide a queue.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


class _Classified:
    """The border to the server: what aiohttp raises leaves as a BoundaryError; cancellation passes untouched."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
            raise from_exception(error, self._url) from error


async def _read(response: aiohttp.ClientResponse, limit: int, *, cut: bool = False) -> bytes:
    """The whole body. One over `limit` bytes is garbage, or cut there."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > limit:
            if cut:
                break
            raise garbage(f"more than {limit} bytes")
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _follow(
    response: aiohttp.ClientResponse, answer: Answer | GeneratedAnswer, on_delta: DeltaSink | None
) -> None:
    """Read server-sent events into `answer`; what one network read brought is handed on as one delta."""
    rest = b""
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        *lines, rest = (rest + part).split(b"\n")
        if size > answer.most_bytes or len(rest) > _MAX_LINE:
            raise garbage(f"a stream of more than {size} bytes")
        added = []
        for line in lines:
            if line.startswith(b"data:") and not answer.done:
                added.append(answer.chunk(line[5:].strip()))
        if on_delta is not None and (text := "".join(added)):
            await on_delta(clean(text))
        if answer.done:
            return
    if not answer.finished:
        raise garbage("half a stream")
    if on_delta is not None and (text := answer.flush()):
        await on_delta(clean(text))
