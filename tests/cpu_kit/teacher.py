"""Teaches the tiny model the whole job of `lesson` in seconds: `python teacher.py TOKENIZER_FOLDER OUT_FOLDER`.

It learns over the few hundred ids that occur, with other days and tool results at every step and loss on what the model
itself says; then its embedding is spread over the real vocabulary, where every id that never occurred has logit 0.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cpu_kit import lesson
from cpu_kit.tiny_model import END, VOCABULARY, shape, write
from literesearcher.engine.token_history import TokenHistory
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.research.messages import Message

STEPS, RATE, PRACTICE = 240, 4e-3, 63
LONG_EVERY = 16
"""How often the platform's own long results are read, at a second each; the other steps read short ones."""
MARGIN = 6.0
"""What a taught id's logit is to be at least: ids that never occurred have 0."""


def sample(messages: Sequence[Message], history: TokenHistory) -> tuple[list[int], list[bool]]:
    """The conversation's ids, and which of them the model says itself (the token that ends each turn too)."""
    ids, own = history.prompt(tuple(messages[:2])), []
    own = [False] * len(ids)
    for at in range(2, len(messages), 2):
        longer = history.prompt(tuple(messages[: at + 2]))
        said = longer.index(END, len(ids)) + 1 - len(ids)
        own += [True] * said + [False] * (len(longer) - len(ids) - said)
        assert longer[: len(ids)] == ids
        ids = longer
    while not own[-1]:
        own.pop()
    return ids[: len(own)], own


def teach(tokenizer: Path, folder: Path) -> None:
    """Write a checkpoint that carries the whole job out."""
    import torch
    from torch.nn import functional
    from transformers import Qwen3ForCausalLM

    torch.manual_seed(0)
    torch.set_num_threads(2)
    history = TokenHistory(Tokenizer.from_file(tokenizer / "tokenizer.json"), opens_thought=True)
    with tempfile.TemporaryDirectory() as data:
        messages = lesson.recorded(Path(data))
    real = sample(lesson.varied(messages, 0), history)
    practice = [sample(lesson.varied(messages, seed), history) for seed in range(1, PRACTICE)]
    used = sorted({number for ids, _ in (real, *practice) for number in ids})
    place = {number: at for at, number in enumerate(used)}
    model: Any = Qwen3ForCausalLM(shape(len(used) + 1)).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    began = time.monotonic()
    for step in range(STEPS):
        ids, own = real if step % LONG_EVERY == LONG_EVERY - 1 else practice[step % len(practice)]
        rate = RATE * min(1.0, (step + 1) / 20) * max(0.05, 1 - step / STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate
        numbers = torch.tensor([[place[number] for number in ids]])
        # Conversations begin elsewhere at every step, so that nothing is learnt by its place.
        positions = torch.arange(len(ids))[None] + (step * 37) % 64
        mask = torch.tensor(own[1:])
        hidden = model.model(input_ids=numbers, position_ids=positions).last_hidden_state[0, :-1][mask]
        logits, wanted = model.lm_head(hidden), numbers[0, 1:][mask]
        right = logits.gather(1, wanted[:, None])
        loss = functional.cross_entropy(logits, wanted) + 1e-3 * functional.relu(MARGIN - right).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 60 == 59:
            good = (logits.argmax(-1) == wanted).float().mean().item()
            print(f"step {step + 1}: loss {loss.item():.4f}, {good:.1%} right, {time.monotonic() - began:.0f} s")
    write(_spread(model, used), tokenizer, folder)


def _spread(model: Any, used: Sequence[int]) -> Any:
    import torch
    from transformers import Qwen3ForCausalLM

    whole: Any = Qwen3ForCausalLM(shape()).float()
    state = model.state_dict()
    rows = torch.zeros(VOCABULARY, whole.config.hidden_size)
    rows[torch.tensor(used)] = state["model.embed_tokens.weight"][: len(used)]
    whole.load_state_dict({**state, "model.embed_tokens.weight": rows, "lm_head.weight": rows})
    return whole


if __name__ == "__main__":
    teach(Path(sys.argv[1]), Path(sys.argv[2]))
