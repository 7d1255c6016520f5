"""What SGLang is started for: a checkpoint with its tokenizer, and the command line that the settings give for it.

Owns: everything that can be known, and refused in a sentence, before a process is started. Refuses to know: processes,
where the checkpoint came from. Above: `engine.sglang.engine`. Below: `engine.checkpoint`, `engine.token_history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from literesearcher.engine.checkpoint import Checkpoint, check_context, check_parallel, read_checkpoint
from literesearcher.engine.raw_prompts import RawPrompts
from literesearcher.engine.sglang.arguments import server_arguments
from literesearcher.engine.sglang.failures import refused
from literesearcher.engine.token_history import IM_START, TokenHistory
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import PromptTooLong
from literesearcher.settings.cluster_sections import SglangSection


@dataclass(frozen=True, slots=True)
class Model:
    """A checkpoint that SGLang can be started with. `arguments` are SGLang's command line."""

    checkpoint: Checkpoint
    tokenizer: Tokenizer
    history: TokenHistory
    raw_prompts: RawPrompts
    arguments: tuple[str, ...]
    context_length: int

    @property
    def probe(self) -> list[int]:
        """The shortest prompt, for checks of health."""
        return [self.tokenizer.token(IM_START) or 0]

    def check(self, ids: Sequence[int], max_tokens: int) -> None:
        """What would end SGLang's process, or what it would refuse: `engine_rejected`, `PromptTooLong`."""
        vocabulary = self.checkpoint.vocabulary
        if max(ids) >= vocabulary or min(ids) < 0:
            raise refused(f"a token id of the history is outside the model's vocabulary of {vocabulary}")
        limit = self.context_length
        if len(ids) + max_tokens > limit:
            raise PromptTooLong(
                f"a prompt of {len(ids)} tokens and {max_tokens} to generate are more than the context of {limit}"
            )


def read_model(section: SglangSection, folder: Path, *, opens_thought: bool, extra: Sequence[str] = ()) -> Model:
    """The model in `folder`; `extra` are flags of SGLang beyond the settings. ConfigurationError where it is not
    whole, or cannot be run as the settings want."""
    checkpoint = read_checkpoint(folder, weights=section.load_format == "auto")
    check_parallel(checkpoint, section.tensor_parallel)
    check_context(checkpoint, section.context_length)
    arguments = server_arguments(section, str(folder))
    tokenizer = Tokenizer.from_file(checkpoint.tokenizer_file)
    return Model(
        checkpoint=checkpoint,
        tokenizer=tokenizer,
        history=TokenHistory(tokenizer, opens_thought=opens_thought),
        raw_prompts=RawPrompts(tokenizer),
        arguments=(*arguments, *extra),
        context_length=section.context_length,
    )
