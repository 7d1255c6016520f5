"""ChatML as an append-only text: what is sent at turn n + 1 starts with what was sent and generated at turn n.

Owns: the rendering for `/v1/completions` and for token histories. Refuses to know: tokenizers, engines.
Both openings of an assistant turn are met: with `<think>\\n` (the checkpoint's template) and without.
"""

from __future__ import annotations

import re

from literesearcher.research.messages import Message

THINK_OPENING = "<think>\n"
_CONTROL = re.compile(
    r"<\|(?=(?:im_start|im_end|endoftext|(?:object_ref|box|quad|vision)_(?:start|end)|(?:vision|image|video)_pad"
    r"|fim_(?:prefix|middle|suffix|pad)|repo_name|file_sep)\|>)"
)
"""The start of one of Qwen3's control tokens; a space put after it makes it text again. Other words between such signs
are no tokens and stay as they are."""


def render(messages: tuple[Message, ...], opens_thought: bool) -> str:
    """The whole prompt, ending in the opening of the assistant's next turn."""
    return "".join([*(_rendered(message, opens_thought) for message in messages), opening(opens_thought)])


def opening(opens_thought: bool) -> str:
    """What stands before generated text."""
    return "<|im_start|>assistant\n" + (THINK_OPENING if opens_thought else "")


def _rendered(message: Message, opens_thought: bool) -> str:
    content = neutral(message.content)
    if message.role == "assistant":
        opened = message.opened_thought
        if opened is None:
            # A conversation that the job was given: a turn that brings its own opening does not get a second one.
            opened = opens_thought and not content.startswith("<think>")
        return f"{opening(opened)}{content}<|im_end|>\n"
    return f"<|im_start|>{message.role}\n{content}<|im_end|>\n"


def neutral(text: str) -> str:
    """Text that cannot speak as the system: `<|im_end|>` becomes `<| im_end|>`, which is no control token."""
    return _CONTROL.sub("<| ", text) if "<|" in text else text
