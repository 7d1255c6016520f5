"""A checkpoint that is not whole, or does not fit, is said in a sentence before anything starts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from literesearcher.engine.checkpoint import (
    check_context,
    check_parallel,
    check_sum,
    file_sums,
    read_checkpoint,
    whole_sum,
)
from literesearcher.errors import ConfigurationError

CONFIG = {
    "vocab_size": 151_936,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 262_144,
}


def shard(size: int = 16) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "LiteResearcher-4B"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(CONFIG))
    (made / "tokenizer.json").write_text("{}")
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    (made / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": names[0], "b": names[1]}}))
    for name in names:
        (made / name).write_bytes(shard())
    return made


def refused(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_checkpoint(folder)
    return caught.value.message


def test_a_whole_checkpoint_says_its_shape(folder: Path):
    checkpoint = read_checkpoint(folder)
    assert (checkpoint.name, checkpoint.vocabulary, checkpoint.heads, checkpoint.kv_heads) == (
        *("LiteResearcher-4B", 151_936),
        *(32, 8),
    )


def test_a_missing_shard_is_named(folder: Path):
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "1 of 2 shards are missing" in refused(folder)
    assert "model-00002-of-00002.safetensors" in refused(folder)


def test_a_shard_that_broke_off_is_named(folder: Path):
    last = folder / "model-00002-of-00002.safetensors"
    last.write_bytes(last.read_bytes()[:-3])
    assert "bytes: download the checkpoint again" in refused(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 8, b"version https://git-lfs.github.com/spec/v1\n", (9).to_bytes(8, "little") + b"[1, 2, 3]"],
)
def test_a_file_that_is_no_weights_is_named(folder: Path, content: bytes):
    (folder / "model-00001-of-00002.safetensors").write_bytes(content)
    assert "model-00001-of-00002.safetensors" in refused(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_what_lies_beside_the_weights_is_needed(folder: Path, name: str):
    (folder / name).unlink()
    assert name in refused(folder)


@pytest.mark.parametrize("config", ["[]", "{", '{"vocab_size": "many"}', '{"vocab_size": 0}'])
def test_a_config_of_something_else_is_refused(folder: Path, config: str):
    (folder / "config.json").write_text(config)
    assert "config.json" in refused(folder)


def test_no_weights_at_all(folder: Path):
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    assert "holds no weights" in refused(folder)
    assert read_checkpoint(folder, weights=False).heads == 32


def test_no_folder(tmp_path: Path):
    assert "is no folder" in refused(tmp_path / "nothing")


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 32])
def test_heads_that_can_be_split(folder: Path, size: int):
    check_parallel(read_checkpoint(folder), size)


@pytest.mark.parametrize("size", [3, 5, 6, 7, 12, 64])
def test_heads_that_cannot_be_split(folder: Path, size: int):
    with pytest.raises(ConfigurationError, match="does not divide the model's 32 heads"):
        check_parallel(read_checkpoint(folder), size)


def test_more_gpus_than_a_node_has(folder: Path):
    with pytest.raises(ConfigurationError, match="which has 2"):
        check_parallel(read_checkpoint(folder), 4, gpus=2)


def test_a_context_beyond_the_model(folder: Path):
    check_context(read_checkpoint(folder), 262_144)
    with pytest.raises(ConfigurationError, match="beyond the model's 262144"):
        check_context(read_checkpoint(folder), 262_145)


def test_the_checksum_is_of_names_and_bytes_as_sha256sum_prints_them(folder: Path):
    seen: list[tuple[int, int]] = []
    sums = file_sums(folder, lambda read, total: seen.append((read, total)))
    assert seen[-1][0] == seen[-1][1] > 0
    good = whole_sum(sums)
    shell = "sha256sum $(ls *.json *.safetensors | LC_ALL=C sort) | sha256sum"
    assert subprocess.run(shell, shell=True, cwd=folder, capture_output=True, text=True).stdout.split()[0] == good
    check_sum(file_sums(folder), good.upper(), folder)
    (folder / "README.md").write_text("not of the model")
    check_sum(file_sums(folder), good, folder)
    one, two = sorted(folder.glob("*.safetensors"))
    one.write_bytes(one.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ConfigurationError, match="MODEL_SHA256"):
        check_sum(file_sums(folder), good, folder)
    one.write_bytes(shard())
    check_sum(file_sums(folder), good, folder)
    two.rename(folder / "other.safetensors")
    with pytest.raises(ConfigurationError, match="MODEL_SHA256"):
        check_sum(file_sums(folder), good, folder)
