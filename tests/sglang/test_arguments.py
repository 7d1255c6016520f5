"""What the settings become, as the pinned SGLang's own parser and resolution take it. No GPU is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from literesearcher.engine.sglang.arguments import PINNED, server_arguments
from literesearcher.engine.sglang.engine import require_sglang
from literesearcher.settings.cluster_sections import SglangSection

PARSE = """
import argparse, json, sys
from sglang.srt.server_args import ServerArgs
parser = argparse.ArgumentParser(exit_on_error=False)
ServerArgs.add_cli_args(parser)
found = []
for arguments in json.load(sys.stdin):
    record = ServerArgs.from_cli_args(parser.parse_args(arguments))
    if "--device" not in arguments:
        record = ServerArgs.from_cli_args(parser.parse_args([*arguments, "--device", "cuda"]))
    record.resolve_once()
    found.append({name: value for name, value in record.resolved_dict().items()
                  if isinstance(value, (str, int, float, bool, type(None)))})
print("PARSED" + json.dumps(found))
"""
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": (
        {},
        {
            "tp_size": 1,
            "context_length": 131_072,
            "dtype": "bfloat16",
            "enable_session_radix_cache": True,
            "enable_priority_scheduling": True,
            "disable_priority_preemption": True,
            "enable_metrics": True,
            "enable_cache_report": True,
            "stream_interval": 8,
            "disable_overlap_schedule": False,
        },
    ),
    "two GPUs": ({"tensor_parallel": 2, "memory_fraction": 0.8}, {"tp_size": 2, "mem_fraction_static": 0.8}),
    "FP8": ({"weights": "fp8", "kv": "fp8"}, {"quantization": "fp8", "kv_cache_dtype": "fp8_e4m3"}),
    "full precision": ({"weights": "fp32"}, {"dtype": "float32", "quantization": None}),
    "pool": (
        {"kv_tokens": 300_000, "context_length": 90_000, "max_running": 20, "chunked_prefill_tokens": 4096},
        {
            "max_total_tokens": 300_000,
            "context_length": 90_000,
            "max_running_requests": 20,
            "chunked_prefill_size": 4096,
        },
    ),
    "hierarchical": (
        {"hierarchical_cache": True, "hierarchical_ratio": 3.0},
        {"enable_hierarchical_cache": True, "hicache_ratio": 3.0, "enable_session_radix_cache": True},
    ),
    "plain": (
        {"session_cache": False, "priority_scheduling": False, "metrics": False, "overlap_schedule": False},
        {
            "enable_session_radix_cache": False,
            "enable_priority_scheduling": False,
            "enable_metrics": False,
            "disable_overlap_schedule": True,
        },
    ),
    "speculative": ({"speculative": "ngram", "session_cache": False}, {"speculative_algorithm": "NGRAM"}),
    "deterministic": ({"deterministic": True}, {"enable_deterministic_inference": True}),
    "dummy": ({"load_format": "dummy"}, {"load_format": "dummy"}),
    "cpu": (
        {"device": "cpu", "context_length": 4096},
        {
            "device": "cpu",
            "sampling_backend": "pytorch",
            "page_size": 1,
            "sleep_on_idle": True,
            "max_total_tokens": 4096,
        },
    ),
}


@pytest.fixture(scope="module")
def parsed(random_model: Path) -> dict[str, dict[str, Any]]:
    """What SGLang makes of each case, in a process of its own: its import takes seconds and stays."""
    asked = [server_arguments(SglangSection(**fields), str(random_model)) for fields, _ in CASES.values()]
    done = subprocess.run([sys.executable, "-c", PARSE], input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout.split("PARSED")[1]), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_pinned_parser_takes_each_setting(case: str, parsed: dict[str, dict[str, Any]]):
    wanted = CASES[case][1]
    assert {name: parsed[case].get(name) for name in wanted} == wanted


@pytest.mark.parametrize("wrong", [["--tp-size", "two"], ["--kv-cache-dtype", "fp9"], ["--no-such-flag"]])
def test_the_parser_refuses_what_is_no_argument(wrong: list[str], random_model: Path):
    asked = json.dumps([[*server_arguments(SglangSection(), str(random_model)), *wrong]])
    done = subprocess.run([sys.executable, "-c", PARSE], input=asked, capture_output=True, text=True)
    assert done.returncode != 0
    assert "PARSED" not in done.stdout


def test_the_installed_version_is_the_pinned_one():
    require_sglang()
    assert PINNED == "0.5.23"
