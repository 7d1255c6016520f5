"""The memory mechanism: at the context limit each earlier tool step becomes one sentence, and the job goes on.

Owns: what the summarising call reads, how its text becomes a sentence, the conversation after it.
A step is an assistant turn and the message that answered it. Each is compressed by a call of its own, journalled like
any other step, so that a crash loses one sentence at most. Neighbours: `machine`, `state`.
"""

from __future__ import annotations

import re

from literesearcher.research.messages import Message
from literesearcher.research.outside_text import Outside, user_message
from literesearcher.research.parsing import ParsedTurn, parse_turn
from literesearcher.research.tool_options import Fidelity

SENTENCE_CHARACTERS = 500
STEP_TOKENS = 2_048
"""New tokens of one compression at most: a thought and a sentence."""
_REQUEST = (
    "You keep the notes of a research job. You are given its question and one step: what was done and what came back. "
    "Write exactly one sentence that says what was looked for and what was found, with every name, number, date and "
    "URL that may matter for the question. If nothing useful was found, say so. Write only that sentence."
)
_TAGS = re.compile(r"</?(?:think|answer|tool_call|tool_response|summary)>")


def steps(messages: tuple[Message, ...], opening: int) -> list[tuple[Message, Message | None]]:
    """The (turn, result) pairs after the opening."""
    later = messages[opening:]
    return [(later[at], later[at + 1] if at + 1 < len(later) else None) for at in range(0, len(later), 2)]


def request(
    question: str, step: tuple[Message, Message | None], characters: int, fidelity: Fidelity = "published"
) -> tuple[Message, ...]:
    """The prompt that makes one step a sentence; each of its parts is cut to `characters`."""
    turn, result = step
    came_back = _first(result, characters) if result is not None else []
    done = f"Question:\n{question[:characters]}\n\nDone:\n{turn.content[-characters:]}\n\nCame back:\n"
    return Message("system", _REQUEST), user_message((done, *came_back), fidelity)


def _first(result: Message, characters: int) -> list[str | Outside]:
    """The parts of a result, cut."""
    parts: list[str | Outside] = []
    for text, outside in result.parts:
        kept = text[:characters]
        characters -= len(kept)
        parts.append(Outside(kept) if outside else kept)
    return parts


def sentence(written: ParsedTurn, step: tuple[Message, Message | None]) -> str:
    """One line out of what the model wrote, or a plain record of the step where it wrote nothing usable."""
    line = " ".join(_TAGS.sub(" ", written.answer or written.remark).split())
    if line:
        return line[:SENTENCE_CHARACTERS]
    call = parse_turn(step[0].content).call
    if call is None:
        return "A turn without a tool call gave nothing that was kept."
    return f"A call of {call.name} with {call.arguments} gave nothing that was kept."[:SENTENCE_CHARACTERS]


def with_memory(question: Message, sentences: tuple[str, ...], fidelity: Fidelity) -> Message:
    """The question, followed by what earlier steps found. The sentences stand on what pages said."""
    head = f"{question.content}\n\nWhat earlier steps of this research found:"
    lines: list[str | Outside] = [head]
    for number, text in enumerate(sentences, 1):
        lines += [f"\n{number}. ", Outside(text)]
    return user_message(lines, fidelity)
