"""A `tokenizer.json` of 256 byte tokens and Qwen3's added tokens, small enough to make in a test.

Owns: the file. It encodes any text, a token a byte, and spells its added tokens as Qwen3's does: those between bars are
special, `<think>`, `<tool_call>` and `<tool_response>` are added ones that are not. Refuses to know: who loads it.
"""

from __future__ import annotations

from pathlib import Path

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
NOT_SPECIAL = (
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)


def write_byte_tokenizer(path: Path) -> Path:
    """Write it to `path`, a file name."""
    import tokenizers

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    model = tokenizers.models.BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[])
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(list(SPECIAL))
    made.add_tokens([tokenizers.AddedToken(name, normalized=False) for name in NOT_SPECIAL])
    # What a published file may carry; counts must not be cut by it.
    made.enable_truncation(5)
    made.save(str(path))
    return path
