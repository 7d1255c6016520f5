"""The memory mechanism: at the context limit each earlier tool step becomes one sentence, and the job goes on.

Owns: what the summarising call reads, how its text becomes a sentence, the conversation after it.
A step is an assistant turn and the message that answered it. Each is compressed by a call of its own, journalled like
any other step, so that a crash loses one sentence at most. Neighbours: `machine`, `state`.
"""

from __future__ import annotations

import re

from literesearcher.research.messages import Message
from literesearcher.research.parsing import ParsedTurn, parse_turn

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


def request(question: str, step: tuple[Message, Message | None], characters: int) -> tuple[Message, ...]:
    """The prompt that makes one step a sentence; each of its parts is cut to `characters`."""
    turn, result = step
    came_back = result.content[:characters] if result is not None else ""
    return (
        Message("system", _REQUEST),
        Message(
            "user",
            f"Question:\n{question[:characters]}\n\nDone:\n{turn.content[-characters:]}\n\nCame back:\n{came_back}",
        ),
    )


def sentence(written: ParsedTurn, step: tuple[Message, Message | None]) -> str:
    """One line out of what the model wrote, or a plain record of the step where it wrote nothing usable."""
    line = " ".join(_TAGS.sub(" ", written.answer or written.remark).split())
    if line:
        return line[:SENTENCE_CHARACTERS]
    call = parse_turn(step[0].content).call
    if call is None:
        return "A turn without a tool call gave nothing that was kept."
    return f"A call of {call.name} with {call.arguments} gave nothing that was kept."[:SENTENCE_CHARACTERS]


def with_memory(question: Message, sentences: tuple[str, ...]) -> Message:
    """The question, followed by what earlier steps found."""
    notes = "\n".join(f"{number}. {text}" for number, text in enumerate(sentences, 1))
    return Message("user", f"{question.content}\n\nWhat earlier steps of this research found:\n{notes}")
