"""The port to the raw model: one request in OpenAI's form in, one answer in it out.

Refuses to know: keys, tenants, HTTP's borders. Above: `gateway.model_routes`, `gateway.passed_answer`, an engine
replica's HTTP face. Below: `gateway.upstream` (a model server), `raw_model.engine_model` (an engine of this process).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from literesearcher.gateway.model_call import ModelCall


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """`body`: the whole of an answer that is not streamed, as JSON; else `pieces`: whole lines of its events."""

    body: bytes | None = None
    pieces: AsyncIterator[bytes] | None = None


class RawModel(Protocol):
    """Errors of `answer`, also out of its block and while pieces are read: CallerError (`model_refused`,
    `context_length_exceeded`, `unsupported_field`, `bad_request`) where the request itself is at fault, else
    BoundaryError with a code of `engine.port`."""

    def check(self) -> None:
        """BoundaryError `no_language_model` where there is none."""
        ...

    def answer(self, path: str, call: ModelCall) -> AbstractAsyncContextManager[RawAnswer]:
        """The answer to a request; leaving the block ends its generations. `path` is one of OpenAI's."""
        ...

    async def aclose(self) -> None:
        """Close connections; an engine is its owner's to close. Safe to call twice."""
        ...
