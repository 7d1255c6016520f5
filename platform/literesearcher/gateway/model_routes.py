"""/v1/models, /v1/chat/completions, /v1/completions: the raw model, for those who bring an agent of their own.

Owns: which model is behind the gateway, and that nobody is passed on to another. Refuses to know: what is asked of it
(`model_call`), how the answer comes (`passed_answer`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from literesearcher.engine.port import EngineInfo
from literesearcher.errors import BoundaryError
from literesearcher.gateway import model_operations
from literesearcher.gateway.context import Gateway, check_query, json_response
from literesearcher.gateway.model_call import read_call, unknown_model
from literesearcher.gateway.openai_errors import CHAT, COMPLETIONS, MODELS
from literesearcher.gateway.passed_answer import PassedAnswer
from literesearcher.gateway.turnstile import Turnstile
from literesearcher.gateway.upstream import without_address

_ENGINE_SECONDS = 15.0
_NO_MODEL = (
    "No language model. This engine reads the question, searches, visits the best pages and answers with the passage "
    "that scores best; no language model writes its texts."
)
_MODEL = "A language model that searches and reads pages until it can answer."


def router(gateway: Gateway) -> APIRouter:
    """The routes over one gateway."""
    tenant_of = Depends(gateway.tenant_of)
    routes = APIRouter(tags=["model"], dependencies=[tenant_of])
    turns = Turnstile(gateway.settings.gateway.model_requests)

    async def info() -> EngineInfo:
        try:
            async with asyncio.timeout(_ENGINE_SECONDS):
                return await gateway.engine_info()
        except TimeoutError:
            raise BoundaryError("the engine did not answer in time", code="engine_timeout", transient=True) from None
        except BoundaryError as error:
            raise without_address(error) from error

    async def passed(request: Request, tenant: str) -> Response:
        gateway.raw_model.check()
        call = await read_call(request)
        if call.model != (await info()).model:
            raise unknown_model()
        return PassedAnswer(
            call,
            request.scope["path"],
            model=gateway.raw_model,
            turns=turns,
            tenant_id=tenant,
            stall_seconds=gateway.pace.stall_seconds,
        )

    @routes.get(MODELS, **model_operations.MODELS)
    async def list_models() -> Response:
        return json_response({"object": "list", "data": [_model(await info())]})

    @routes.post(CHAT, dependencies=[Depends(check_query)], **model_operations.CHAT)
    async def chat(request: Request, tenant: str = tenant_of) -> Response:
        return await passed(request, tenant)

    @routes.post(COMPLETIONS, dependencies=[Depends(check_query)], **model_operations.COMPLETION)
    async def completion(request: Request, tenant: str = tenant_of) -> Response:
        return await passed(request, tenant)

    return routes


def _model(info: EngineInfo) -> dict[str, Any]:
    return {
        "id": info.model,
        "object": "model",
        "created": 0,
        "owned_by": "literesearcher",
        "engine": info.kind,
        "context_length": info.context_length,
        "language_model": info.language_model,
        "description": _MODEL if info.language_model else _NO_MODEL,
    }
