"""The prompts, in the project's own words, and the way to use other texts instead.

Owns: the instructions with the two tool signatures, the extractor's request, their digests.
Refuses to know: files (the caller reads them), dates (the machine adds the job's own).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from literesearcher.research.outside_text import escaped

DATE_LINE = "Current date: "
"""The system prompt's last line; the date follows it (YYYY-MM-DD)."""

SYSTEM = """You are a research assistant that works on hard questions by searching the web and reading pages.

Work step by step. In every turn you think first, then do exactly one thing: call one tool, or give the final answer. \
Plan before you search, check what you find against a second source where you can, and answer only when what you read \
supports it.

A turn has one of these two forms and nothing else.

To call a tool:

<think>
what you know, what is missing, what to do next
</think>
<tool_call>
{"name": "the tool's name", "arguments": {"the": "arguments"}}
</tool_call>

To finish:

<think>
why the evidence is enough
</think>
<answer>
the answer alone: a name, a number or a short phrase, without explanation; "yes" or "no" where that is asked
</answer>

These tools exist, by signature:
<tools>
{"type": "function", "function": {"name": "search", "description": "Search the web. Takes several queries at once and \
returns the top results of each as text.", "parameters": {"type": "object", "properties": {"query": {"type": "array", \
"items": {"type": "string", "description": "One search query."}, "minItems": 1, "description": "The queries to run."\
}}, "required": ["query"]}}}
{"type": "function", "function": {"name": "visit", "description": "Open one or several web pages and return what they \
say about a goal.", "parameters": {"type": "object", "properties": {"url": {"type": "array", "items": {"type": \
"string"}, "description": "The page URLs; one URL or an array of them."}, "goal": {"type": "string", "description": \
"What to look for on the pages."}}, "required": ["url", "goal"]}}}
</tools>

A tool's result comes back between <tool_response></tool_response>.

Current date: """

EXTRACTOR = """Read the web page below and collect what it says about a reader's goal.

## Page
{webpage_content}

## Goal
{goal}

## What to return
One JSON object with exactly these three string fields, and nothing around it:
- "rational": which parts of the page bear on the goal, and why.
- "evidence": those parts in full, in the page's own words, numbers and names unchanged; as many paragraphs as it takes.
- "summary": one short paragraph that says what the page contributes to the goal, and how reliable that is.
"""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The two prompt texts in force."""

    system: str = SYSTEM
    extractor: str = EXTRACTOR

    @classmethod
    def of(cls, system: str | None = None, extractor: str | None = None) -> Prompts:
        """The given texts, the project's own where None."""
        return cls(SYSTEM if system is None else system, EXTRACTOR if extractor is None else extractor)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 hex of each text, by name."""
        return {
            "system": sha256(self.system.encode()).hexdigest(),
            "extractor": sha256(self.extractor.encode()).hexdigest(),
        }

    def render_extractor(self, page: str, goal: str) -> str:
        """The extractor's request. Replaced literally and once each: a page may hold braces and the markers. Neither
        page nor goal can speak as the system or as the model."""
        page, goal = escaped(page), escaped(goal)
        before, found, after = self.extractor.partition("{webpage_content}")
        if not found:
            return before.replace("{goal}", goal)
        return before.replace("{goal}", goal) + page + after.replace("{goal}", goal)


def with_date(system: str, date: str) -> str:
    """The system message of a job: the prompt, its date line completed, added where the text has none."""
    text = system.rstrip("\n")
    if text.rstrip().endswith(DATE_LINE.strip()):
        return f"{text.rstrip()} {date}"
    return f"{text}\n\n{DATE_LINE}{date}"
