"""Serve's configuration from the settings: what each application is given, what stays out, what is refused."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import ValidationError
from openapi_schema_validator import OAS30Validator

from literesearcher.cluster import release
from literesearcher.cluster.configuration import serve_configuration
from literesearcher.cluster.scaling.signs import Signs
from literesearcher.errors import ConfigurationError
from literesearcher.settings.environment import secret_environment
from literesearcher.settings.load import load_settings
from literesearcher.settings.model import Settings
from literesearcher.settings.names import known
from literesearcher.testing.manual_clock import ManualClock

P = "LITERESEARCHER_"
SECRETS = {
    f"{P}SERPER__API_KEY": "secret-serper",
    f"{P}REDIS__URL": "redis://:secret-redis@redis:6379/0",
    f"{P}STORE__URL": "postgresql+asyncpg://user:secret-store@db/jobs",
    f"{P}ENGINE__API_KEY": "secret-engine",
    f"{P}CLUSTER__TOKEN": "secret-token",
}


def settings_of(**given: str) -> Settings:
    return load_settings({"HOME": "/home/somebody"} | {P + name: value for name, value in given.items()}, dotenv=None)


def applications(settings: Settings) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in serve_configuration(settings)["applications"]}


def deployment(settings: Settings, name: str) -> dict[str, Any]:
    [only] = applications(settings)[name]["deployments"]
    return dict(only)


def test_ray_itself_takes_the_configuration() -> None:
    schema = pytest.importorskip("ray.serve.schema", reason="pip install 'literesearcher[cluster]'")
    settings = settings_of(CLUSTER__ENGINE_MAX_REPLICAS="3", CLUSTER__ENGINE_PYTHON="/opt/sglang/bin/python")
    taken = schema.ServeDeploySchema.model_validate(serve_configuration(settings))
    assert [one.name for one in taken.applications] == ["engine", "tools", "orchestrator"]
    assert [one.import_path.split(":")[1] for one in taken.applications] == ["engine", "tools", "orchestrator"]


def test_no_secret_is_in_it_and_every_secret_is_in_the_environment() -> None:
    settings = load_settings({"HOME": "/home/somebody"} | SECRETS, dotenv=None)
    assert "secret" not in json.dumps(serve_configuration(settings))
    assert secret_environment(settings) == SECRETS


PLANTED = "planted-secret"


def planted() -> dict[str, str]:
    """Something secret wherever a setting may hold it."""
    found = {}
    for name, setting in known().items():
        if setting.secret:
            found[name] = f"redis://:{PLANTED}@redis:6379/0" if name.endswith("URL") else PLANTED
        elif name.endswith("__BASE_URL"):
            found[name] = f"http://somebody:{PLANTED}@host:8080"
    return found | {f"{P}STORE__URL": f"postgresql+asyncpg://db/jobs?user=somebody&password={PLANTED}"}


def test_what_is_planted_in_every_secret_place_stays_out() -> None:
    given = planted()
    assert len([name for name, setting in known().items() if setting.secret]) > 10
    usable = {}
    for name, value in given.items():
        # Some places take no password at all.
        with contextlib.suppress(ConfigurationError):
            load_settings({"HOME": "/home/somebody", name: value}, dotenv=None)
            usable[name] = value
    settings = load_settings({"HOME": "/home/somebody"} | usable, dotenv=None)
    assert PLANTED not in json.dumps(serve_configuration(settings))
    assert secret_environment(settings) == usable


def test_kuberay_takes_it_as_it_is() -> None:
    """The manifest of the how-to with the configuration in its place, by the schema of KubeRay's own resource."""
    yaml = pytest.importorskip("yaml", reason="pip install 'literesearcher[cluster]'")
    schema = pytest.importorskip("ray.serve.schema", reason="pip install 'literesearcher[cluster]'")
    root = os.environ.get("LITERESEARCHER_TEST_DATA")
    file = Path(root) / "crds" / "ray.io_rayservices.yaml" if root else None
    if file is None or not file.is_file():
        pytest.skip("LITERESEARCHER_TEST_DATA names no folder with crds/")
    [version] = [one for one in yaml.safe_load(file.read_text())["spec"]["versions"] if one["storage"]]
    wanted = version["schema"]["openAPIV3Schema"]
    howto = (Path(__file__).parents[3] / "docs" / "how-to" / "ray.md").read_text()
    [example] = [one for one in re.findall(r"```yaml\n(.*?)```", howto, re.DOTALL) if "kind: RayService" in one]
    settings = load_settings({"HOME": "/home/somebody"} | SECRETS | MANY, dotenv=None)
    printed = yaml.safe_dump(serve_configuration(settings), sort_keys=False, allow_unicode=True)
    manifest = yaml.safe_load(example)
    manifest["spec"]["serveConfigV2"] = printed
    assert manifest["apiVersion"] == f"ray.io/{version['name']}"
    OAS30Validator(wanted).validate(manifest)
    assert not unknown_fields(manifest, wanted)
    with pytest.raises(ValidationError):
        OAS30Validator(wanted).validate(
            manifest | {"spec": manifest["spec"] | {"serveConfigV2": yaml.safe_load(printed)}}
        )
    taken = schema.ServeDeploySchema.model_validate(yaml.safe_load(manifest["spec"]["serveConfigV2"]))
    assert [one.name for one in taken.applications] == ["engine", "tools", "orchestrator"]
    assert "secret" not in json.dumps(manifest["spec"]["serveConfigV2"])


MANY = {
    f"{P}ENGINE__KIND": "sglang",
    f"{P}SGLANG__MODEL_PATH": "/models/4b",
    f"{P}SGLANG__TENSOR_PARALLEL": "2",
    f"{P}CLUSTER__ENGINE_MAX_REPLICAS": "4",
    f"{P}CLUSTER__ENGINE_PYTHON": "/opt/sglang/bin/python",
    f"{P}CLUSTER__ROUTING": '{"margin_seconds": 0.5}',
    f"{P}CLUSTER__HTTP_HOST": "0.0.0.0",
    f"{P}TOOLS__INTRANET": '{"*":["wiki.example"]}',
}


def unknown_fields(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """What the API server would drop without a word."""
    if isinstance(value, list):
        return [one for item in value for one in unknown_fields(item, schema.get("items", {}), path)]
    known_here = schema.get("properties")
    if not isinstance(value, dict) or known_here is None:
        return []
    found = [f"{path}.{name}" for name in value if name not in known_here]
    for name, item in value.items():
        found += unknown_fields(item, known_here.get(name, {}), f"{path}.{name}")
    return found if path else [one for one in found if not one.startswith(".metadata.")]


def test_a_replica_reads_the_settings_that_were_meant() -> None:
    given = {
        "ENGINE__BASE_URL": "http://model:30000/v1",
        "TOOLS__SEARCH": '["searxng"]',
        "TOOLS__INTRANET": '{"*":["wiki.example"]}',
        "TOOLS__HEDGE": "false",
        "SEARXNG__BASE_URL": "http://searx:8888",
        "CORPUS__DIR": "/data/corpus",
        "RESEARCH__MAX_TURNS": "40",
    }
    settings = settings_of(**given)
    arrived = load_settings(applications(settings)["tools"]["args"]["settings"], dotenv=None)
    for section in ("engine", "tools", "searxng", "corpus", "research", "data_dir"):
        assert getattr(arrived, section) == getattr(settings, section)


@pytest.mark.parametrize(
    ("changed", "value", "touched"),
    [
        ("TOOLS__BREAKER_FAILURES", "9", {"tools"}),
        ("JINA__PER_SECOND", "3", {"tools"}),
        ("ORCHESTRATOR__GRACE_SECONDS", "3", {"orchestrator"}),
        ("BUDGETS__USD_PER_DAY", "3", {"orchestrator"}),
        ("CLUSTER__ORCHESTRATOR_MAX_REPLICAS", "3", {"orchestrator"}),
        ("CLUSTER__TOOLS_MIN_REPLICAS", "2", {"tools"}),
        ("CLUSTER__ENGINE_MAX_REPLICAS", "3", {"engine"}),
        ("SGLANG__CHUNKED_PREFILL_TOKENS", "4096", {"engine"}),
        ("GATEWAY__PORT", "9000", set()),
    ],
)
def test_a_setting_changes_only_those_who_read_it(changed: str, value: str, touched: set[str]) -> None:
    before, after = applications(settings_of()), applications(settings_of(**{changed: value}))
    assert {name for name in before if before[name] != after[name]} == touched


def test_each_application_rises_and_falls_by_its_own_policy() -> None:
    """The controller can load each one with the arguments that it is given, and Serve adds no patience of its own."""
    settings = settings_of(CLUSTER__ENGINE_MAX_REPLICAS="2", RESEARCH__MAX_CONCURRENT_JOBS="7")
    taken: dict[str, dict[str, Any]] = {}
    for name in ("engine", "tools", "orchestrator"):
        scaling = deployment(settings, name)["autoscaling_config"]
        assert scaling["upscale_delay_s"] == scaling["downscale_delay_s"] == 0
        module, policy = scaling["policy"]["policy_function"].split(":")
        made = getattr(importlib.import_module(module), policy)
        taken[policy] = scaling["policy"]["policy_kwargs"]
        made(**taken[policy], signs=Signs(name, ManualClock(), make=lambda _: lambda *_: None))
    assert set(taken) == {"EnginePolicy", "ToolsPolicy", "OrchestratorPolicy"}
    assert taken["OrchestratorPolicy"] == {"jobs": 7}
    fixed = settings_of(CLUSTER__ORCHESTRATOR_MIN_REPLICAS="2", CLUSTER__ORCHESTRATOR_MAX_REPLICAS="2")
    assert deployment(fixed, "orchestrator")["num_replicas"] == 2


def test_replicas_call_each_other_the_cheap_way_and_open_no_port_of_their_own() -> None:
    own_python = settings_of(CLUSTER__ENGINE_PYTHON="/opt/sglang/bin/python")
    for name in applications(own_python):
        given = deployment(own_python, name)["ray_actor_options"]["runtime_env"]["env_vars"]
        assert given["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"
        assert given["RAY_SERVE_ENABLE_DIRECT_INGRESS"] == "0"
        # A history that fills a context of a million tokens, all of it Chinese, its ids beside it.
        assert int(given["RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH"]) > 2**20 * (2 * 3 * 2 + 6)


def test_an_engine_replica_takes_the_gpus_of_its_ranks() -> None:
    sglang = settings_of(ENGINE__KIND="sglang", SGLANG__MODEL_PATH="/models/4b", SGLANG__TENSOR_PARALLEL="2")
    assert deployment(sglang, "engine")["ray_actor_options"]["num_gpus"] == 2
    assert "num_gpus" not in deployment(settings_of(), "engine")["ray_actor_options"]
    on_cpu = settings_of(ENGINE__KIND="sglang", SGLANG__MODEL_PATH="/models/4b", SGLANG__DEVICE="cpu")
    assert "num_gpus" not in deployment(on_cpu, "engine")["ray_actor_options"]


def test_a_redeploy_starts_others_first_where_they_need_no_second_gpu() -> None:
    sglang = {"ENGINE__KIND": "sglang", "SGLANG__MODEL_PATH": "/models/4b"}
    for name in ("tools", "orchestrator", "engine"):
        assert deployment(settings_of(), name)["max_surge_percent"] == 100
    assert deployment(settings_of(**sglang), "engine")["max_surge_percent"] == 0
    assert deployment(settings_of(**sglang), "tools")["max_surge_percent"] == 100
    free = settings_of(**sglang, CLUSTER__ENGINE_SURGE_PERCENT="25")
    assert deployment(free, "engine")["max_surge_percent"] == 25


def test_a_stopping_replica_has_the_time_that_was_set() -> None:
    assert deployment(settings_of(), "engine")["graceful_shutdown_timeout_s"] == 660
    settings = settings_of(CLUSTER__DRAIN_SECONDS="77", ORCHESTRATOR__GRACE_SECONDS="20")
    assert deployment(settings, "engine")["graceful_shutdown_timeout_s"] == 77
    assert deployment(settings, "tools")["graceful_shutdown_timeout_s"] == 77
    assert deployment(settings, "orchestrator")["graceful_shutdown_timeout_s"] > 20


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {
                "ENGINE__KIND": "sglang",
                "SGLANG__MODEL_PATH": "/models/4b",
                "SGLANG__TENSOR_PARALLEL": "4",
                "CLUSTER__GPUS_PER_NODE": "2",
            },
            "needs 4 GPUs of one node, and a node has 2",
        ),
        ({"CLUSTER__ENGINE_MIN_REPLICAS": "3"}, "CLUSTER__ENGINE_MIN_REPLICAS is 3, above"),
        ({"CLUSTER__TOOLS_MIN_REPLICAS": "9"}, "CLUSTER__TOOLS_MIN_REPLICAS is 9, above"),
        ({"CLUSTER__ORCHESTRATOR_MIN_REPLICAS": "9"}, "CLUSTER__ORCHESTRATOR_MIN_REPLICAS is 9, above"),
        ({"CLUSTER__HTTP_HOST": "0.0.0.0"}, "set LITERESEARCHER_CLUSTER__TOKEN"),
        ({"TOOLS__URL": "http://tools:8001"}, "a cluster has its own"),
    ],
)
def test_what_no_cluster_could_run_is_refused_in_a_sentence(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        serve_configuration(settings_of(**given))


def test_the_pinned_ray_is_the_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert any(one.startswith(f"ray[serve]=={release.RAY}") for one in project["optional-dependencies"]["cluster"])
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.59.0")
    with pytest.raises(
        ConfigurationError, match=r"Ray 2\.59\.0 is installed, and this version works with Ray 2\.60\.0"
    ):
        release.require_ray()


def test_a_missing_ray_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise release.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    with pytest.raises(ConfigurationError, match=r"Ray is not installed: pip install 'literesearcher\[cluster\]'"):
        release.require_ray()
