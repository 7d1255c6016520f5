"""The metrics as they are scraped, and that the reference names each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from literesearcher.telemetry.exposition import Exposition, process_registry
from literesearcher.telemetry.tool_metrics import ToolMetrics


@pytest.fixture
def metrics() -> ToolMetrics:
    return ToolMetrics(process_registry())


def test_a_scrape_tells_of_the_process_and_of_what_was_counted(metrics):
    metrics.calls.labels("search", "ok").inc()
    answer = TestClient(Exposition(metrics.registry)).get("/metrics")
    assert answer.status_code == 200
    found = {one.name: one.value for family in text_string_to_metric_families(answer.text) for one in family.samples}
    assert found["literesearcher_tools_calls_total"] == 1
    assert found["process_cpu_seconds_total"] > 0
    assert found["process_open_fds"] > 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/v1/tools", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/metrics", 405),
        ("HEAD", "/metrics", 200),
        ("GET", "/metrics?name[]=process_open_fds", 200),
        ("GET", "/metrics?x=%ff", 200),
    ],
)
def test_there_is_nothing_else_to_get(metrics, method, path, status):
    assert TestClient(Exposition(metrics.registry)).request(method, path).status_code == status


def test_two_processes_worth_of_metrics_do_not_meet():
    one, other = ToolMetrics(process_registry()), ToolMetrics(process_registry())
    one.calls.labels("search", "ok").inc()
    assert one.registry.get_sample_value("literesearcher_tools_calls_total", {"tool": "search", "outcome": "ok"}) == 1
    assert (
        other.registry.get_sample_value("literesearcher_tools_calls_total", {"tool": "search", "outcome": "ok"}) is None
    )


def test_the_reference_names_each_metric_with_its_labels():
    text = (Path(__file__).parents[3] / "docs/reference/tools.md").read_text(encoding="utf-8")
    table = text.partition("| metric `literesearcher_tools_...` |")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE))
    declared = {}
    for name, metric in vars(ToolMetrics()).items():
        if name != "registry":
            described = metric.describe()[0]
            suffix = "_total" if described.type == "counter" else ""
            declared[described.name.removeprefix("literesearcher_tools_") + suffix] = metric._labelnames
    assert rows.keys() == declared.keys()
    for name, labels in declared.items():
        assert rows[name].startswith(", ".join(f"`{label}`" for label in labels))
