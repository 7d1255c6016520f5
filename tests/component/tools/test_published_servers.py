"""The published project's tool servers, as its agent and its browse client speak to them, beside our own shapes."""

from __future__ import annotations

import json

import pytest

from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.research.tool_options import Fidelity
from literesearcher.testing.scripted_tools import ScriptedTools, ToolStep, World
from literesearcher.tools.port import ToolRequest, ToolResult
from literesearcher.tools.providers.port import SearchResult

PAGE = "https://t.example/page"
WORLD = World(
    searches={
        "merge": [SearchResult("T 谁", PAGE, "S", date="Jan 1, 2024", source="example")],
        "other": [SearchResult("U", "https://u.example/", None)],
    },
    pages={PAGE: ("evidence\n\n{x}", "summary")},
)


class PickyTools(ScriptedTools):
    """The world, with the fidelity asked for beside it."""

    def __init__(self, **wishes) -> None:
        super().__init__(**wishes)
        self.fidelities: list[Fidelity | None] = []

    async def call(self, request: ToolRequest) -> ToolResult:
        self.fidelities.append(request.ask.fidelity)
        return await super().call(request)


async def published_agent(session, prefix: str, name: str, arguments: dict) -> str:
    """What the published agent makes of a call: the text that it hands to its model."""
    if name == "search":
        async with session.post(f"{prefix}/search", json={"query": arguments.get("query", [])}) as response:
            data = await response.json()
            return data["result"] if data.get("success") else f"[Search] Error: {data.get('error')}"
    body = {"url": arguments.get("url", ""), "goal": arguments.get("goal", "")}
    async with session.post(f"{prefix}/browse", json=body) as response:
        data = await response.json()
        return data["result"] if data.get("success") else f"[Visit] Error: {data.get('error')}"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("search", {"query": "merge"}),
        ("search", {"query": ["merge", "nothing there", "other"]}),
        ("visit", {"url": PAGE, "goal": "g"}),
        ("visit", {"url": [PAGE, "https://missing.example/", "javascript:alert(1)"], "goal": ""}),
    ],
)
async def test_both_shapes_give_the_same_texts(serving, name, arguments):
    tools = PickyTools(world=WORLD)
    async with serving(tools) as session:
        theirs = await published_agent(session, "/published", name, arguments)
        async with session.post(f"/v1/tools/{name}", json=arguments | {"fidelity": "published"}) as response:
            ours = await response.json()
    assert theirs == ours["text"]
    assert theirs
    assert tools.fidelities == ["published", "published"]
    assert tools.calls[0].ask.tenant_id == "default"


async def test_the_texts_are_the_published_ones_to_the_byte(serving):
    async with serving(ScriptedTools(world=WORLD), published_prefix="/") as session:
        assert await published_agent(session, "", "search", {"query": ["merge", "nothing there"]}) == (
            "A Google search for 'merge' found 1 results:\n\n## Web Results\n"
            f"1. [T 谁]({PAGE})\nDate published: Jan 1, 2024\nSource: example\n\nS"
            "\n=======\nNo results found for 'nothing there'."
        )
        assert await published_agent(session, "", "visit", {"url": PAGE, "goal": "g"}) == (
            f"The useful information in {PAGE} for user goal g as follows: \n\n"
            "Evidence in page: \nevidence\n\n{x}\n\nSummary: \nsummary"
        )
        async with session.get("/health") as response:
            assert (await response.json())["status"] == "ok"


async def test_the_whole_answer_has_the_published_fields(serving):
    async with serving(ScriptedTools(world=WORLD)) as session:
        async with session.post("/published/browse", json={"url": PAGE, "goal": "g", "more": 1}) as response:
            assert response.status == 200
            body = await response.json()
    assert set(body) == {"success", "result", "elapsed_ms", "error"}
    assert (body["success"], body["error"], type(body["elapsed_ms"])) == (True, "", float)


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("search", {"query": []}, "search needs at least one non-empty string in 'query'."),
        ("search", {"query": 7}, "search needs 'query', an array of strings."),
        ("search", {"query": ["q"] * 200}, "search takes at most 50 strings in 'query' a call; 200 were given."),
        ("browse", {"url": PAGE}, "visit needs 'goal', a string that says what to look for."),
        ("browse", b"{", "the body is not JSON"),
        ("browse", b'{"url": "a", "url": "b", "goal": ""}', "the field 'url' is given twice"),
    ],
)
async def test_a_wrong_request_is_told_in_the_published_shape(serving, path, body, error):
    tools = ScriptedTools(world=WORLD)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with serving(tools) as session:
        async with session.post(
            f"/published/{path}", data=data, headers={"Content-Type": "application/json"}
        ) as response:
            got, body = response.status, await response.json()
    assert (got, body["success"], body["result"]) == (422, False, "")
    assert body["error"].startswith(error)
    assert tools.calls == []


async def test_a_failure_is_told_in_the_published_shape(serving):
    tools = ScriptedTools([ToolStep("search", BoundaryError("the cache holds no answer", code="not_recorded"))])
    async with serving(tools) as session:
        text = await published_agent(session, "/published", "search", {"query": "merge"})
    assert text == "[Search] Error: the cache holds no answer"


async def test_the_same_access_rule_holds_there(serving):
    tools = ScriptedTools(world=WORLD)
    async with serving(tools, "z8Yservice") as session:
        for path in ("search", "browse"):
            async with session.post(f"/published/{path}", json={"query": "merge"}) as response:
                assert response.status == 401
        async with session.get("/published/health") as response:
            assert response.status == 401
        headers = {"Authorization": "Bearer z8Yservice"}
        async with session.post("/published/search", json={"query": "merge"}, headers=headers) as response:
            assert (await response.json())["success"] is True
    async with serving(tools) as session:
        headers = {"Origin": "https://evil.example"}
        async with session.post("/published/search", json={"query": "merge"}, headers=headers) as response:
            assert response.status == 403
    assert len(tools.calls) == 1


async def test_prefixes_that_cannot_be_are_refused(serving):
    for prefix in ("/v1", "/v1/tools", "published", "/a b", "/{x}", "/a?b", "//evil.example"):
        with pytest.raises(ConfigurationError, match="PUBLISHED_PREFIX"):
            async with serving(ScriptedTools(), published_prefix=prefix):
                pass
    async with serving(ScriptedTools(world=WORLD), published_prefix="/a/b/") as session:
        assert "found 1 results" in await published_agent(session, "/a/b", "search", {"query": "merge"})
