"""The first messages of a job, and what the machine says to the model in place of a tool.

Owns: the three question forms, the request to answer at the context limit, replies to turns that cannot be carried out.
"""

from __future__ import annotations

from literesearcher.research.events import JobCreated
from literesearcher.research.messages import Message, QuestionForm
from literesearcher.research.prompts import with_date
from literesearcher.research.rendering import neutral

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


def tool_message(text: str) -> Message:
    """A tool's result as the model reads it. A page cannot speak as the system, also where a server renders messages:
    control tokens in it are made text."""
    return Message("user", f"<tool_response>\n{neutral(text)}\n</tool_response>")
