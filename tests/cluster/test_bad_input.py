"""Settings, checkpoints and interpreters that no replica could start with: a sentence and exit code 2, before anything
is deployed, and what ran goes on.
"""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path

import pytest

from cluster.programs import free_port, left_behind, pids
from literesearcher.testing.byte_tokenizer import write_byte_tokenizer
from literesearcher.testing.replay.programs import House

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "vocab_size": 151_936,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 262_144,
}
SGLANG = "0.5.23"


def write_checkpoint(folder: Path, *, shards: int = 2) -> Path:
    """The shape of a checkpoint with tensors of a few bytes."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    write_byte_tokenizer(folder / "tokenizer.json")
    names = [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]
    for name in names:
        head = json.dumps({name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        (folder / name).write_bytes(len(head).to_bytes(8, "little") + head + b"\0" * 8)
    placed = {"metadata": {}, "weight_map": {f"layer.{name}": name for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(placed))
    return folder


def distribution(folder: Path, name: str, version: str) -> Path:
    """A folder that, on the path, is all that an installed package's version is read from."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder


def interpreter(file: Path, python: Path | str, path: Path) -> Path:
    """One that finds more packages than this one."""
    file.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {python} "$@"\n')
    file.chmod(0o755)
    return file


@pytest.mark.timeout(600)
async def test_each_is_refused_in_a_sentence_while_the_cluster_goes_on(tmp_path: Path) -> None:
    model = write_checkpoint(tmp_path / "model")
    lacking = write_checkpoint(tmp_path / "lacking")
    (lacking / "model-00002-of-00002.safetensors").unlink()
    short = write_checkpoint(tmp_path / "short")
    (short / "model-00001-of-00002.safetensors").write_bytes((8).to_bytes(8, "little") + b'{"a": 1}')
    with_sglang = interpreter(tmp_path / "python", sys.executable, distribution(tmp_path / "s", "sglang", SGLANG))
    other_sglang = interpreter(tmp_path / "other", sys.executable, distribution(tmp_path / "o", "sglang", "0.4.0"))
    other_ray = interpreter(tmp_path / "older", sys.executable, distribution(tmp_path / "r", "ray", "2.59.0"))
    venv.create(tmp_path / "bare", with_pip=False)

    sglang = {"ENGINE__KIND": "sglang", "SGLANG__DEVICE": "cpu", "SGLANG__CONTEXT_LENGTH": "4096"}
    whole = sglang | {"SGLANG__MODEL_PATH": str(model), "CLUSTER__ENGINE_PYTHON": str(with_sglang)}
    bad: list[tuple[dict[str, str], str]] = [
        (whole | {"SGLANG__TENSOR_PARALLEL": "3"}, "TENSOR_PARALLEL=3 does not divide the model's 32 heads (8 of them"),
        (whole | {"SGLANG__MODEL_PATH": str(lacking)}, "1 of 2 shards are missing in"),
        (whole | {"SGLANG__MODEL_PATH": str(short)}, "download the checkpoint again"),
        (whole | {"SGLANG__MODEL_PATH": str(tmp_path / "no")}, "is no folder"),
        (whole | {"SGLANG__CONTEXT_LENGTH": "300000"}, "CONTEXT_LENGTH=300000 is beyond the model's 262144"),
        (whole | {"SGLANG__KV_TOKENS": "2048"}, "KV_TOKENS=2048 is less than one conversation may grow to"),
        (whole | {"SGLANG__MODEL_SHA256": "0" * 64}, "is not the one that LITERESEARCHER_SGLANG__MODEL_SHA256 names"),
        (whole | {"CLUSTER__ENGINE_PYTHON": str(other_sglang)}, f"needs SGLang {SGLANG}, and 0.4.0 is installed"),
        (whole | {"CLUSTER__ENGINE_PYTHON": str(other_ray)}, "Ray 2.59.0 is installed, and this version works with"),
        (whole | {"CLUSTER__ENGINE_PYTHON": str(tmp_path / "bare/bin/python")}, "cannot load literesearcher (Module"),
        (whole | {"CLUSTER__ENGINE_PYTHON": str(tmp_path / "nowhere")}, "cannot be run: No such file or directory"),
        (sglang | {"SGLANG__MODEL_PATH": str(model)}, "needs SGLang, which is not installed here"),
        (
            whole | {"SGLANG__DEVICE": "cuda", "SGLANG__TENSOR_PARALLEL": "64"},
            "one engine replica needs 64 GPUs of one node, and there is none: set LITERESEARCHER_CLUSTER__GPUS",
        ),
        (
            whole | {"SGLANG__DEVICE": "cuda", "SGLANG__TENSOR_PARALLEL": "8", "CLUSTER__GPUS_PER_NODE": "4"},
            "one engine replica needs 8 GPUs of one node, and a node has 4",
        ),
        ({"PYTHONPATH": str(tmp_path / "r")}, "Ray 2.59.0 is installed, and this version works with Ray 2.60.0"),
    ]
    port = {"LITERESEARCHER_CLUSTER__HTTP_PORT": str(free_port())}
    async with House(tmp_path, dict(port)) as house:
        try:
            # Where nothing runs, nothing is left running.
            house.settings = port | _named(bad[0][0])
            code, said = await house.ran("cluster", "up")
            assert (code, bad[0][1] in said) == (2, True), said
            assert left_behind(tmp_path) == []

            house.settings = dict(port)
            code, said = await house.ran("cluster", "up")
            assert code == 0, said
            before = await pids(house)
            for given, sentence in bad:
                house.settings = port | _named(given)
                code, said = await house.ran("cluster", "up")
                last = said.splitlines()[-1]
                assert (code, sentence in last, last.startswith("literesearcher: ")) == (2, True, True), said
                assert "Traceback" not in said
            house.settings = dict(port)
            assert await pids(house) == before
        finally:
            house.settings = dict(port)
            code, said = await house.ran("cluster", "down")
            assert code == 0, said
    assert left_behind(tmp_path) == []


def _named(given: dict[str, str]) -> dict[str, str]:
    return {name if name == "PYTHONPATH" else f"LITERESEARCHER_{name}": value for name, value in given.items()}
