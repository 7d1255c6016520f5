"""The OpenAPI document: FastAPI's, with what routes that read their own body and headers leave out.

Owns: components that routes name by reference, and the two ways to send a key. Refuses to know: what routes do.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from literesearcher.gateway.documents import EventObject, OpenAIErrorDocument, ProblemDocument
from literesearcher.gateway.schemas import ResearchWish

_REFERENCE = "#/components/schemas/{model}"
_KEYLESS = frozenset({"/livez", "/readyz"})
_GENERATED = ("HTTPValidationError", "ValidationError")
"""FastAPI's own form of a 422, which this gateway never answers with."""


def describe(app: FastAPI) -> None:
    """Make `app.openapi` (served at /openapi.json) the whole description, made once when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="LiteResearcher Platform",
        version=version("literesearcher"),
        summary="Durable deep-research jobs over HTTP",
        routes=app.routes,
    )
    _, schemas = models_json_schema(
        [
            (ResearchWish, "validation"),
            (ProblemDocument, "serialization"),
            (OpenAIErrorDocument, "serialization"),
            (EventObject, "serialization"),
        ],
        ref_template=_REFERENCE,
    )
    components = document.setdefault("components", {})
    components["schemas"] = {
        name: schema
        for name, schema in sorted({**components.get("schemas", {}), **schemas["$defs"]}.items())
        if name not in _GENERATED
    }
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, lr_ID_SECRET."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
        if path in _KEYLESS:
            continue
        for operation in operations.values():
            # The empty one: a server without any key asks for none.
            operation["security"] = [{"bearer": []}, {"apiKey": []}, {}]
    return document
