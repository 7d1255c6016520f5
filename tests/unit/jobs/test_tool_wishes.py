"""What a job may ask of its tools: spelling, bounds, and every refusal naming its field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from literesearcher.errors import CallerError
from literesearcher.gateway.schemas import ResearchWish
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.jobs.model import NewJob
from literesearcher.jobs.tool_wishes import MAX_DOMAINS, MAX_LANGUAGES
from literesearcher.research.events import JobCreated
from literesearcher.research.prompts import Prompts
from literesearcher.research.tool_options import SourcePolicy, ToolOptions
from literesearcher.settings.sections import ResearchSection
from literesearcher.tools.sources.domains import host_name

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def take(tools: Any, key: str | None = None) -> NewJob:
    spec = JobSpec(input="q", tools=tools, idempotency_key=key)
    return new_job(spec, tenant_id="t", research=ResearchSection(), prompts=Prompts(), now=NOW, fidelity="improved")


def created(tools: Any) -> JobCreated:
    return take(tools).created


def test_nothing_asked_for_is_the_default_with_the_servers_fidelity() -> None:
    for nothing in ({}, {"cache": None, "sources": None}, {"sources": {"languages": None, "allow_domains": []}}):
        assert created(nothing).tools == ToolOptions("default", SourcePolicy(), "improved")


def test_everything_is_taken_over_in_one_spelling() -> None:
    asked = {
        "cache": "record",
        "sources": {
            "allow_domains": ["Example.COM", "example.com.", "bücher.example", ".GOV", ".ac.uk", "192.0.2.7", "::1"],
            "deny_domains": ["a_b.example"],
            "published_after": "2024-02-29",
            "published_before": "2024-02-29",
            "languages": ["en", "zh"],
            "max_pages_per_domain": 3,
        },
    }
    assert created(asked).tools == ToolOptions(
        "record",
        SourcePolicy(
            allow_domains=("example.com", "xn--bcher-kva.example", ".gov", ".ac.uk", "192.0.2.7", "::1"),
            deny_domains=("a_b.example",),
            published_after="2024-02-29",
            published_before="2024-02-29",
            languages=("en", "zh"),
            max_pages_per_domain=3,
        ),
        "improved",
    )


def test_domains_are_spelled_as_the_tools_spell_hosts() -> None:
    for name in ("Example.COM", "bücher.example", "例え.テスト", "straße.de", "xn--bcher-kva.example", "EXAMPLE。com"):
        assert created({"sources": {"deny_domains": [name]}}).tools.sources.deny_domains == (host_name(name),)


@pytest.mark.parametrize(
    ("tools", "field"),
    [
        ([], "tools"),
        ({"cach": "only"}, "tools.cach"),
        ({"fidelity": "published"}, "tools.fidelity"),
        ({"cache": "on"}, "tools.cache"),
        ({"cache": 1}, "tools.cache"),
        ({"cache": ["only"]}, "tools.cache"),
        ({"sources": []}, "tools.sources"),
        ({"sources": {"domains": []}}, "tools.sources.domains"),
        ({"sources": {"allow_domains": "example.com"}}, "tools.sources.allow_domains"),
        ({"sources": {"allow_domains": ["a.example"] * (MAX_DOMAINS + 1)}}, "tools.sources.allow_domains"),
        ({"sources": {"allow_domains": ["a.example", 5]}}, "tools.sources.allow_domains.1"),
        ({"sources": {"languages": ["en"] * (MAX_LANGUAGES + 1)}}, "tools.sources.languages"),
        ({"sources": {"languages": ["EN"]}}, "tools.sources.languages.0"),
        ({"sources": {"languages": ["en\n"]}}, "tools.sources.languages.0"),
        ({"sources": {"languages": ["english"]}}, "tools.sources.languages.0"),
        ({"sources": {"published_after": "20240101"}}, "tools.sources.published_after"),
        ({"sources": {"published_after": "2024-W01-1"}}, "tools.sources.published_after"),
        ({"sources": {"published_after": "2023-02-29"}}, "tools.sources.published_after"),
        ({"sources": {"published_after": "２０２４-01-01"}}, "tools.sources.published_after"),
        ({"sources": {"published_before": "2024-01-01T00:00:00Z"}}, "tools.sources.published_before"),
        ({"sources": {"published_before": 20240101}}, "tools.sources.published_before"),
        (
            {"sources": {"published_after": "2024-01-02", "published_before": "2024-01-01"}},
            "tools.sources.published_after",
        ),
        ({"sources": {"max_pages_per_domain": 0}}, "tools.sources.max_pages_per_domain"),
        ({"sources": {"max_pages_per_domain": True}}, "tools.sources.max_pages_per_domain"),
        ({"sources": {"max_pages_per_domain": 1.0}}, "tools.sources.max_pages_per_domain"),
        ({"sources": {"max_pages_per_domain": 10_001}}, "tools.sources.max_pages_per_domain"),
    ],
)
def test_refusals_name_their_field(tools: Any, field: str) -> None:
    with pytest.raises(CallerError) as caught:
        take(tools)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "domain",
    [
        *("", ".", "..gov", "a..b", "https://example.com", "example.com/path", "example.com:443", "*.example.com"),
        *("user@example.com", "exa mple.com", "example.com\x00", "a\nb", "\ud800.com", "x" * 255, "%41.com"),
        *(".[::1]", "a/../b", "example.com?q", "example.com#f", "a\\b"),
    ],
)
def test_what_is_no_domain(domain: str) -> None:
    with pytest.raises(CallerError) as caught:
        take({"sources": {"deny_domains": [domain]}})
    assert caught.value.field == "tools.sources.deny_domains.0"


def test_the_wish_is_part_of_the_digest_and_an_empty_one_is_not() -> None:
    plain = take({}, "k").request_digest
    assert take({"cache": None, "sources": {"languages": []}}, "k").request_digest == plain
    only = take({"cache": "only"}, "k").request_digest
    english = take({"sources": {"languages": ["en"]}}, "k").request_digest
    assert len({plain, only, english}) == 3


def test_the_schema_knows_the_same_fields() -> None:
    schema = ResearchWish.model_json_schema()["$defs"]
    assert set(schema["SourcesWish"]["properties"]) == set(SourcePolicy.__dataclass_fields__)
    assert set(schema["ToolsWish"]["properties"]) == set(ToolOptions.__dataclass_fields__) - {"fidelity"}
