"""The engine without a language model: reads the conversation, writes the next turn in the model's own protocol.

It searches with the question's words, reads the best pages, and answers with the passage that scores best; where no
page supports an answer it says so and ends with finish reason `no_evidence`. Stateless and deterministic.
Owns: the port, the text form of a turn, the other purposes. Below: `extractive_plan` and what it stands on.
"""

from __future__ import annotations

import asyncio
import json
import re

from literesearcher.engine import extractive_reading
from literesearcher.engine.extractive_plan import Finish, Plan, Search, Visit, gist, plan
from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Message, Usage
from literesearcher.research.outside_text import restored
from literesearcher.research.parsing import parse_turn
from literesearcher.research.passages import best_sentences, extract, shorten
from literesearcher.research.prompts import EXTRACTOR

MODEL = "extractive-no-language-model"
CONTEXT_LENGTH = 131_072
_INLINE_CHARS = 60_000
"""A longer conversation is read in a thread."""
_NOTICE = "No language model wrote this."
_HEADING = re.compile(
    r"^#+[ \t]*\**[ \t]*((?:web ?page )?content|(?:web ?)?page|(?:user )?goal)[ \t]*:?\**[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
"""How prompts head the page and the goal; whole lines, so that a page's own headings rarely pass for them."""


class ExtractiveEngine:
    """Implements `engine.port.Engine`."""

    async def describe(self) -> EngineInfo:
        """Says that it is no language model."""
        return EngineInfo(kind="extractive", model=MODEL, context_length=CONTEXT_LENGTH, language_model=False)

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """The next turn. Never fails on what a conversation holds; `engine_timeout` where it takes too long."""
        size = sum(len(message.content) for message in request.messages)
        try:
            async with asyncio.timeout(timeout_seconds):
                if size > _INLINE_CHARS:
                    text, reason = await asyncio.to_thread(_written, request)
                else:
                    text, reason = _written(request)
        except TimeoutError:
            raise BoundaryError("reading the conversation took too long", code="engine_timeout") from None
        if on_delta is not None:
            for piece in re.split(r"(?<=</think>\n)", text):
                if piece:
                    await on_delta(piece)
        usage = Usage(
            prompt_tokens=sum(_tokens(message.content) + 4 for message in request.messages),
            completion_tokens=_tokens(text),
        )
        return Generation(text=text, finish_reason=reason, usage=usage, model=MODEL)

    def count_tokens(self, text: str) -> int | None:
        """An estimate, so that limits hold here as they do with a model: four bytes of UTF-8 a token."""
        return _tokens(text)

    async def aclose(self) -> None:
        """Nothing is open."""


def _tokens(text: str) -> int:
    return max(1, (len(text) if text.isascii() else len(text.encode("utf-8", "replace"))) // 4)


def _written(request: GenerationRequest) -> tuple[str, str]:
    if request.purpose == "compress":
        return _sentence(request.messages[-1].received if request.messages else ""), "stop"
    if request.purpose == "extract":
        return _extraction("\n\n".join(restored(message.content) for message in request.messages)), "stop"
    reading = extractive_reading.read(request.messages)
    return _turn(plan(reading, last=request.purpose == "context_answer"))


def _turn(step: Plan) -> tuple[str, str]:
    thought = f"<think>\n{_NOTICE} {step.thought}\n</think>\n"
    if isinstance(step, Search):
        return thought + _call("search", {"query": step.queries}), "stop"
    if isinstance(step, Visit):
        return thought + _call("visit", {"url": step.urls, "goal": step.goal}), "stop"
    assert isinstance(step, Finish)
    if step.answer is None:
        return thought, "no_evidence"
    return f"{thought}<answer>\n{step.answer}\n</answer>", "stop"


def _call(name: str, arguments: dict[str, object]) -> str:
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    # A tag inside a string would end the call early; JSON can say it without the bracket.
    return f"<tool_call>\n{body.replace('<', chr(92) + 'u003c')}\n</tool_call>"


def _sentence(step: str) -> str:
    """One sentence for a step of research: what was done, and what of it bears on the question."""
    question, _, rest = step.partition("\n\nDone:\n")
    done, _, came_back = rest.partition("\n\nCame back:\n")
    wanted = question.removeprefix("Question:\n")
    conversation = (Message("user", wanted), Message("assistant", done), Message("user", came_back))
    reading = extractive_reading.read(conversation) if came_back.lstrip().startswith("<tool_response>") else None
    call = parse_turn(done).call
    if reading is None or call is None:
        return best_sentences(came_back or rest or step, wanted, max_chars=300)
    told = gist(reading)
    what = call.arguments.get("query") or call.arguments.get("url") or ""
    listed = "; ".join(str(each) for each in what) if isinstance(what, list) else str(what)
    return f"{call.name} of {shorten(listed, 150)}: {told or 'nothing that bears on the question'}"


def _extraction(prompt: str) -> str:
    """The page extractor's JSON: the best passages for the goal. Finds page and goal in any prompt that heads them."""
    page, goal = _parted(prompt)
    found = extract(page, goal)
    return json.dumps(
        {"rational": found.rational, "evidence": found.evidence, "summary": found.summary}, ensure_ascii=False
    )


def _parted(prompt: str) -> tuple[str, str]:
    before, _, rest = EXTRACTOR.partition("{webpage_content}")
    middle, _, after = rest.partition("{goal}")
    if prompt.startswith(before) and prompt.endswith(after):
        inside = prompt[len(before) : len(prompt) - len(after)]
        at = inside.rfind(middle)
        if at >= 0:
            return inside[:at], inside[at + len(middle) :]
    heads = list(_HEADING.finditer(prompt))
    pages = [head for head in heads if "goal" not in head[1].lower()]
    goals = [head for head in heads if "goal" in head[1].lower()]
    if not pages or not goals:
        return prompt, ""
    first, last = pages[0], goals[-1]
    page = prompt[first.end() : last.start() if last.start() > first.end() else len(prompt)]
    return page.strip(), prompt[last.end() :].strip().split("\n\n")[0]
