"""Text from outside (pages, results, goals, names that a model made up) inside what a model reads.

Owns: what such text may not spell to a model that takes text, and how it is spelled instead so that a person sees the
same; messages that are put together of such text and our own. Refuses to know: tokenizers: a renderer of token ids
encodes the text as it was received.

`improved`: U+2060 WORD JOINER goes between `<` and the name of a tag of our protocol or of a control token. It has no
width and, unlike U+200B, allows no line break, so that nothing moves where the text is shown; no normal form of Unicode
drops or changes it; and pages, which are full of U+200B as a place to break long words, hardly hold it.
`published`: tags stay as they are; control tokens get a space, which no published rollout holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.research.messages import Message
from literesearcher.research.tool_options import Fidelity

JOINER = "\u2060"
_KNOWN_CONTROL = re.compile(
    r"<\|(?=(?:im_start|im_end|endoftext|(?:object_ref|box|quad|vision)_(?:start|end)|(?:vision|image|video)_pad"
    r"|fim_(?:prefix|middle|suffix|pad)|repo_name|file_sep)\|>)"
)
"""The start of one of Qwen3's control tokens. Other words between such signs are none of them and stay as they are."""
_TAG_OR_CONTROL = re.compile(
    r"<(?=[\s/\\]*(?:tool_response|tool_call|tools|think|answer)(?![\w-])|[|\uff5c][^<>|\uff5c]{1,64}[|\uff5c]>)",
    re.IGNORECASE,
)
"""The `<` of a tag of our protocol in any case and spacing, closed or not, and of a control token of any model: another
model's template may stand behind the server."""
_JOINED = re.compile(
    rf"<{JOINER}(?=[\s/\\]*(?:tool_response|tool_call|tools|think|answer)(?![\w-])|[|\uff5c])", re.IGNORECASE
)


def neutral(text: str) -> str:
    """Text that cannot speak as the system: `<|im_end|>` becomes `<| im_end|>`, which is no control token."""
    return _KNOWN_CONTROL.sub("<| ", text) if "<|" in text else text


def escaped(text: str, fidelity: Fidelity = "improved") -> str:
    """The text as a model that takes text may read it. Valid Unicode; linear in the text."""
    text = valid_unicode(text)
    if fidelity == "published":
        return neutral(text)
    return _TAG_OR_CONTROL.sub("<" + JOINER, text) if "<" in text else text


def restored(text: str) -> str:
    """What `escaped` took in, of text that a model copied out of it."""
    return _JOINED.sub("<", text) if JOINER in text else text


@dataclass(frozen=True, slots=True)
class Outside:
    """Text from outside, as a part of a message."""

    text: str


def user_message(parts: Iterable[str | Outside], fidelity: Fidelity) -> Message:
    """A user message of our own text and text from outside. Our own parts that follow outside ones begin with a line
    break, so that no tag comes about where the two meet."""
    shown: list[str] = []
    received: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for part in parts:
        if isinstance(part, Outside):
            text = valid_unicode(part.text)
            shown.append(escaped(text, fidelity))
            spans.append((at, at + len(text)))
        else:
            text = part
            shown.append(text)
        received.append(text)
        at += len(text)
    content, whole = "".join(shown), "".join(received)
    return Message("user", content, outside=tuple(spans), unescaped=None if content == whole else whole)
