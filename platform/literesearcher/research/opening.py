"""The first messages of a job, and what the machine says to the model in place of a tool.

Owns: the three question forms, the request to answer at the context limit, replies to turns that cannot be carried out.
"""

from __future__ import annotations

from literesearcher.research.events import JobCreated, ToolCompleted
from literesearcher.research.messages import Message, QuestionForm
from literesearcher.research.outside_text import Outside, user_message
from literesearcher.research.parsing import RESPONSE, RESPONSE_END
from literesearcher.research.prompts import with_date
from literesearcher.research.tool_options import Fidelity

INVALID_CALL = "Error: Invalid tool call JSON."
"""As published."""
NO_ACTION = (
    "Error: The last turn held neither a tool call nor an answer. "
    "Call a tool in <tool_call></tool_call> or give the final answer in <answer></answer>."
)
ANSWER_NOW = (
    "The context is full: no further tool call can be made. Give the best answer that what was read so far supports, "
    "now, in this form:\n<think>\nyour final thoughts\n</think>\n<answer>\nyour answer\n</answer>"
)
_FORMS: dict[QuestionForm, str] = {"bare": "", "space": " Question: ", "label": "Question:"}


def unknown_tool(name: str) -> str:
    """The published answer to a call of a tool that does not exist."""
    return f"Error: Tool {name} not found"


def first_messages(created: JobCreated) -> tuple[Message, ...]:
    """System message with the date, then the question or the conversation that ends in it."""
    system = Message("system", with_date(created.system_prompt, created.current_date))
    prefix = _FORMS[created.question_form]
    if not created.messages:
        return (system, Message("user", prefix + created.input))
    *earlier, last = [m for m in created.messages if m["role"] != "system"]
    conversation = [Message("assistant" if m["role"] == "assistant" else "user", m["content"]) for m in earlier]
    return (system, *conversation, Message("user", prefix + last["content"]))


def tool_message(text: str, fidelity: Fidelity = "published", *, own: bool = False) -> Message:
    """A tool's result as the model reads it, inside the one frame that nothing in it can close or open.

    `own`: the text is the machine's, tags and all, and names nothing that came from outside.
    """
    inside = text if own else Outside(text)
    return user_message((f"{RESPONSE}\n", inside, f"\n{RESPONSE_END}"), fidelity)


def is_own(event: ToolCompleted) -> bool:
    """The text is one of the machine's replies that name nothing; they carry no tool's name."""
    return not event.called and not event.name
