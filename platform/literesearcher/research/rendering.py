"""ChatML as an append-only text: what is sent at turn n + 1 starts with what was sent and generated at turn n.

Owns: the rendering for `/v1/completions`. Refuses to know: tokenizers, engines, what in a message came from outside
(its `content` is safe as text already).
Both openings of an assistant turn are met: with `<think>\\n` (the checkpoint's template) and without.
"""

from __future__ import annotations

from literesearcher.research.messages import Message
from literesearcher.research.outside_text import neutral

THINK_OPENING = "<think>\n"


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
