"""A Qwen3ForCausalLM of 10 million parameters with the real Qwen3 tokenizer, written as a checkpoint.

Owns: its shape and the files of a checkpoint. Random until `teacher` has taught it. Runs where Transformers is.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

VOCABULARY = 151_936
"""As in Qwen3, padding rows included."""
END, PAD = 151_645, 151_643
"""`<|im_end|>` and `<|endoftext|>`."""


def shape(vocabulary: int = VOCABULARY) -> Any:
    """The configuration: 2 layers of 64, 4 heads of which 2 for keys and values, so that two ranks can share it."""
    from transformers import Qwen3Config

    return Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=262_144,
        rope_theta=5_000_000.0,
        tie_word_embeddings=True,
        bos_token_id=PAD if vocabulary == VOCABULARY else None,
        eos_token_id=END if vocabulary == VOCABULARY else None,
        pad_token_id=PAD if vocabulary == VOCABULARY else None,
    )


def write(model: Any, tokenizer: Path, folder: Path) -> None:
    """The model as a checkpoint, with the tokenizer's files from the folder `tokenizer` beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    ends = {"eos_token_id": [END, PAD], "pad_token_id": PAD}
    (folder / "generation_config.json").write_text(json.dumps(ends))


def write_random(tokenizer: Path, folder: Path, *, seed: int = 0) -> None:
    """A checkpoint that says anything."""
    import torch
    from transformers import Qwen3ForCausalLM

    torch.manual_seed(seed)
    write(Qwen3ForCausalLM(shape()), tokenizer, folder)
