"""A checkpoint on disk: what must hold before a runtime is started with it.

Owns: reading `config.json`, the index of shards and the checksum, and the sentence for each thing that is wrong, since
SGLang's own answer is a trace in a child process after half a minute. Refuses to know: SGLang, GPUs, downloads.
Above: `engine.weights`, `engine.sglang`, `engine.transformers`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from literesearcher.errors import ConfigurationError

MODEL_PATH = "LITERESEARCHER_SGLANG__MODEL_PATH"
_BLOCK = 4 * 1024 * 1024
_WEIGHTS = (".safetensors", ".json")
Progress = Callable[[int, int], None]
"""(bytes so far, bytes in all)."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says of itself. `context_length` in tokens, `vocabulary` in ids."""

    folder: Path
    name: str
    vocabulary: int
    heads: int
    kv_heads: int
    context_length: int

    @property
    def tokenizer_file(self) -> Path:
        """The tokenizer that lies beside the weights."""
        return self.folder / "tokenizer.json"


def read_checkpoint(folder: Path, *, weights: bool = True, setting: str = MODEL_PATH) -> Checkpoint:
    """ConfigurationError where the folder, which `setting` names, is no whole checkpoint. `weights` False: shape and
    tokenizer only."""
    if not folder.is_dir():
        raise ConfigurationError(f"{setting}={folder} is no folder: download the model there")
    config = _json(folder / "config.json")
    made = Checkpoint(
        folder=folder,
        name=folder.name,
        vocabulary=_number(config, "vocab_size", folder),
        heads=_number(config, "num_attention_heads", folder),
        kv_heads=int(config.get("num_key_value_heads") or _number(config, "num_attention_heads", folder)),
        context_length=_number(config, "max_position_embeddings", folder),
    )
    if not made.tokenizer_file.is_file():
        raise ConfigurationError(f"{folder} holds no tokenizer.json: the model is driven by the model's own token ids")
    if weights:
        _check_shards(folder)
    return made


def check_parallel(checkpoint: Checkpoint, tensor_parallel: int, gpus: int | None = None) -> None:
    """ConfigurationError where the model cannot be split over so many GPUs, or the machine has not got them."""
    if gpus is not None and tensor_parallel > gpus:
        raise ConfigurationError(
            f"LITERESEARCHER_SGLANG__TENSOR_PARALLEL={tensor_parallel} needs as many GPUs on one node, which has {gpus}"
        )
    kv = checkpoint.kv_heads
    if checkpoint.heads % tensor_parallel or (kv % tensor_parallel and tensor_parallel % kv):
        raise ConfigurationError(
            f"LITERESEARCHER_SGLANG__TENSOR_PARALLEL={tensor_parallel} does not divide the model's {checkpoint.heads} "
            f"heads ({kv} of them for keys and values): use a power of two up to {kv}"
        )


def check_context(checkpoint: Checkpoint, context_length: int) -> None:
    """ConfigurationError where conversations would grow beyond what the model was made for."""
    if context_length > checkpoint.context_length:
        raise ConfigurationError(
            f"LITERESEARCHER_SGLANG__CONTEXT_LENGTH={context_length} is beyond the model's {checkpoint.context_length}"
        )


def file_sums(folder: Path, progress: Progress | None = None) -> dict[str, str]:
    """SHA-256 of each of the folder's weights and JSON files, by name. `progress` gets bytes read and bytes in all."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in _WEIGHTS)
    total, read = sum(path.stat().st_size for path in files), 0
    sums = {}
    for path in files:
        one = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                one.update(block)
                read += len(block)
                if progress is not None:
                    progress(read, total)
        sums[path.name] = one.hexdigest()
    return sums


def whole_sum(sums: Mapping[str, str]) -> str:
    """SHA-256 over name and sum of these files, by name: as `sha256sum` prints them."""
    lines = (f"{one}  {name}\n" for name, one in sorted(sums.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_sum(sums: Mapping[str, str], wanted: str, folder: Path) -> None:
    """ConfigurationError where the files are not those that the operator named."""
    found = whole_sum(sums)
    if found != wanted.strip().lower():
        raise ConfigurationError(
            f"the checkpoint in {folder} is not the one that LITERESEARCHER_SGLANG__MODEL_SHA256 names: "
            f"its files give {found}"
        )


def _check_shards(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        placed = _json(index).get("weight_map")
        wanted = sorted({str(name) for name in placed.values()}) if isinstance(placed, dict) else []
        if not wanted:
            raise ConfigurationError(f"{index} names no shards: download the checkpoint again")
    else:
        wanted = sorted(path.name for path in folder.glob("*.safetensors"))
        if not wanted:
            raise ConfigurationError(f"{folder} holds no weights (*.safetensors): download the checkpoint again")
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise ConfigurationError(
            f"{len(missing)} of {len(wanted)} shards are missing in {folder}, the first is {missing[0]}: "
            "download the checkpoint again"
        )
    for name in wanted:
        _check_length(folder / name)


def _check_length(shard: Path) -> None:
    """Whether a shard is as long as its own header says: a broken download leaves the name but not the bytes."""
    size = shard.stat().st_size
    with shard.open("rb") as file:
        head = int.from_bytes(file.read(8), "little")
        try:
            if not 2 <= head <= min(size, 100_000_000):
                raise ValueError("length of the header")
            tensors = orjson.loads(file.read(head))
            ends = [int(one["data_offsets"][1]) for name, one in tensors.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise ConfigurationError(f"{shard} is no safetensors file: download the checkpoint again") from None
    whole = 8 + head + max(ends, default=0)
    if size != whole:
        raise ConfigurationError(f"{shard} has {size} of its {whole} bytes: download the checkpoint again")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} cannot be read: the folder must hold a whole checkpoint")
    return found


def _number(config: dict[str, Any], name: str, folder: Path) -> int:
    value = config.get(name)
    if not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{folder / 'config.json'} says no {name}: it is no checkpoint of a language model")
    return value
