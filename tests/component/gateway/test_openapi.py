"""The OpenAPI document is valid, whole, and its examples work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel

from literesearcher.gateway import documents, examples
from literesearcher.gateway.openai_errors import OPENAI_PATHS
from literesearcher.gateway.problems import STATUS_BY_CODE
from literesearcher.testing.journal_events import attempt, ended
from literesearcher.testing.served_gateway import Served


async def document(served: Served) -> dict[str, Any]:
    status, _, body = await served.call("GET", "/openapi.json")
    assert status == 200
    found: dict[str, Any] = body
    return found


def each_operation(openapi: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


async def test_it_is_valid_and_names_every_route(served: Served) -> None:
    openapi = await document(served)
    validate(openapi)
    assert {(method, path) for method, path, _ in each_operation(openapi)} == {
        ("POST", "/v1/research"),
        ("GET", "/v1/research"),
        ("GET", "/v1/research/{job_id}"),
        ("DELETE", "/v1/research/{job_id}"),
        ("POST", "/v1/research/{job_id}/cancel"),
        ("GET", "/v1/research/{job_id}/events"),
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("GET", "/v1/usage"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
    }
    assert "HTTPValidationError" not in str(openapi)


async def test_every_operation_has_an_example_and_its_problems(served: Served) -> None:
    openapi = await document(served)
    for method, path, operation in each_operation(openapi):
        assert operation["operationId"]
        for status, answer in operation["responses"].items():
            kinds = answer.get("content", {})
            if int(status) >= 400:
                if path in OPENAI_PATHS:
                    refusal = documents.OpenAIErrorDocument.model_validate(kinds["application/json"]["example"])
                    assert STATUS_BY_CODE[refusal.error.code] == int(status), (method, path)
                    continue
                problem = kinds["application/problem+json"]["example"]
                documents.ProblemDocument.model_validate(problem)
                assert STATUS_BY_CODE[problem["code"]] == int(status) == problem["status"], (method, path)
            elif status != "204":
                assert all("example" in kind for kind in kinds.values()), (method, path, status)
        assert {"403", "421", "500"} <= set(operation["responses"])


@pytest.mark.parametrize("name", examples.REQUESTS)
async def test_request_examples_create_jobs(served: Served, name: str) -> None:
    openapi = await document(served)
    examples = openapi["paths"]["/v1/research"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    status, _, job = await served.call("POST", "/v1/research", json=examples[name]["value"])
    assert status == 202, job


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (documents.JobObject, examples.JOB_QUEUED),
        (documents.JobObject, examples.JOB_COMPLETED),
        (documents.EventObject, examples.EVENT),
        (documents.UsageOfDay, examples.USAGE_OF_DAY),
    ],
)
def test_answer_examples_have_the_shape_that_is_promised(model: type[BaseModel], example: dict[str, Any]) -> None:
    assert model.model_validate(example).model_dump(mode="json") == example


async def test_real_answers_have_the_same_fields_as_the_examples(served: Served) -> None:
    job_id = await served.create()
    await served.append(job_id, attempt(), ended())
    _, _, job = await served.call("GET", f"/v1/research/{job_id}")
    assert list(job) == list(examples.JOB_COMPLETED)
    _, _, page = await served.call("GET", f"/v1/research/{job_id}/events", headers={"Accept": "application/json"})
    assert list(page["data"][0]) == list(examples.EVENT)
    _, _, models = await served.call("GET", "/v1/models")
    documents.ModelList.model_validate(models)


async def test_the_statuses_of_answers_are_those_that_are_documented(served: Served) -> None:
    openapi = await document(served)
    job_id = await served.create()
    for method, path, operation in each_operation(openapi):
        body = {"json": {"inputs": 1}} if path == "/v1/research" and method == "POST" else {}
        for target in (path.replace("{job_id}", job_id), path.replace("{job_id}", "unknown")):
            options = body | {"headers": {"Accept": "application/json"}}
            if method == "DELETE":
                continue
            status, _, _ = await served.call(method, target, **options)
            assert str(status) in operation["responses"], (method, target, status)
