"""The schema that OpenAPI shows and the intake that has the last word know the same fields and ranges."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from literesearcher.errors import CallerError
from literesearcher.gateway.schemas import LimitsWish, ResearchWish, SamplingWish
from literesearcher.jobs.intake import MAX_PRIORITY, JobSpec, new_job
from literesearcher.jobs.model import NewJob
from literesearcher.research.prompts import Prompts
from literesearcher.settings.sections import ResearchSection

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def taken(**spec: Any) -> NewJob:
    return new_job(
        JobSpec(input="q", **spec),
        tenant_id="t",
        research=ResearchSection(),
        prompts=Prompts.of(),
        now=NOW,
        fidelity="improved",
    )


def bounds() -> list[tuple[str, str, Any, Any]]:
    """(section, field, smallest, largest) as the schema says."""
    found = []
    for section, model in (("limits", LimitsWish), ("sampling", SamplingWish)):
        for name, field in model.model_json_schema()["properties"].items():
            number = next(one for one in field["anyOf"] if one["type"] != "null")
            if number["type"] != "boolean":
                found.append((section, name, number["minimum"], number["maximum"]))
    return found


@pytest.mark.parametrize(("section", "name", "smallest", "largest"), bounds())
def test_ranges_agree(section: str, name: str, smallest: Any, largest: Any) -> None:
    for value in (smallest, largest):
        ResearchWish.model_validate({"input": "q", section: {name: value}})
        assert getattr(getattr(taken(**{section: {name: value}}).created, section), name) == value
    step = 1 if isinstance(smallest, int) and name not in ("temperature", "min_p", "presence_penalty") else 1e-3
    for value in (smallest - step, largest + step):
        with pytest.raises(CallerError):
            taken(**{section: {name: value}})


def test_priorities_agree() -> None:
    schema = ResearchWish.model_json_schema()["properties"]["priority"]
    assert (schema["minimum"], schema["maximum"]) == (-MAX_PRIORITY, MAX_PRIORITY)


def test_fields_agree() -> None:
    created = taken().created
    assert set(LimitsWish.model_fields) == set(type(created.limits).__dataclass_fields__)
    assert set(SamplingWish.model_fields) == set(type(created.sampling).__dataclass_fields__) - {"stop"}
