"""The SGLANG section as a command line. That SGLang's own parser takes it is tested where SGLang is installed."""

from __future__ import annotations

from typing import Any

import pytest

from literesearcher.engine.sglang.arguments import environment, server_arguments
from literesearcher.errors import ConfigurationError
from literesearcher.settings.cluster_sections import SglangSection


def flags(**fields: Any) -> str:
    return " ".join(server_arguments(SglangSection(**fields), "/models/LiteResearcher-4B"))


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({}, "--model-path /models/LiteResearcher-4B"),
        ({"tensor_parallel": 2}, "--tp-size 2"),
        ({"context_length": 90_000}, "--context-length 90000"),
        ({"memory_fraction": 0.85}, "--mem-fraction-static 0.85"),
        ({"kv_tokens": 300_000}, "--max-total-tokens 300000"),
        ({"weights": "fp8"}, "--dtype bfloat16 --quantization fp8"),
        ({"weights": "fp32"}, "--dtype float32"),
        ({"kv": "fp8"}, "--kv-cache-dtype fp8_e4m3"),
        ({"chunked_prefill_tokens": 4096}, "--chunked-prefill-size 4096"),
        ({"hierarchical_cache": True, "hierarchical_ratio": 3}, "--enable-hierarchical-cache --hicache-ratio 3.0"),
        ({}, "--enable-session-radix-cache"),
        ({}, "--enable-priority-scheduling --disable-priority-preemption"),
        ({"overlap_schedule": False}, "--disable-overlap-schedule"),
        ({"speculative": "ngram"}, "--speculative-algorithm NGRAM"),
        ({}, "--enable-metrics"),
        ({}, "--enable-cache-report"),
        ({"max_running": 20}, "--max-running-requests 20"),
        ({"stream_tokens": 3}, "--stream-interval 3"),
        ({"deterministic": True}, "--enable-deterministic-inference"),
        ({"load_format": "dummy"}, "--load-format dummy"),
        ({"device": "cpu"}, "--device cpu --sampling-backend pytorch --page-size 1 --sleep-on-idle"),
        ({"device": "cpu", "context_length": 4096}, "--max-total-tokens 4096"),
    ],
)
def test_a_setting_becomes_its_flag(fields: dict[str, Any], flag: str):
    assert f" {flag} " in f" {flags(**fields)} "


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({"session_cache": False}, "session-radix"),
        ({"priority_scheduling": False}, "priority"),
        ({"metrics": False}, "metrics"),
        ({}, "hierarchical"),
        ({}, "overlap"),
        ({}, "speculative"),
        ({}, "max-total-tokens"),
        ({}, "mem-fraction"),
        ({}, "deterministic"),
    ],
)
def test_what_is_off_is_not_said(fields: dict[str, Any], flag: str):
    assert flag not in flags(**fields)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kv_tokens": 90_000, "context_length": 131_072}, "KV_TOKENS=90000"),
        ({"device": "cpu", "weights": "fp8"}, "WEIGHTS=fp8 needs a GPU"),
        ({"device": "cpu", "kv": "fp8"}, "KV=fp8 needs a GPU"),
        ({"device": "cpu", "hierarchical_cache": True}, "HIERARCHICAL_CACHE"),
    ],
)
def test_settings_that_contradict_each_other_are_told_before_the_start(fields: dict[str, Any], named: str):
    with pytest.raises(ConfigurationError) as caught:
        flags(**fields)
    assert named in caught.value.message


def test_two_ranks_on_a_cpu_have_a_core_each():
    assert environment(SglangSection(device="cpu", tensor_parallel=2))["SGLANG_CPU_OMP_THREADS_BIND"] == "0|1"
    assert environment(SglangSection(device="cuda", tensor_parallel=2)) == {}
