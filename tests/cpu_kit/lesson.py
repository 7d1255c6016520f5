"""The research job that the tiny model is taught: what it says at each turn, and what it reads in between.

Owns: question and turns, the platform's own prompts and tool results (one run of the embedded platform with a script in
the model's place), made-up results for practice. The model thus reads in the tests to the letter what it was taught on.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import re
from pathlib import Path

from literesearcher.cli.local_corpus import prepare_corpus
from literesearcher.cli.session import TENANT
from literesearcher.cli.wiring import open_platform
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.research.messages import Message
from literesearcher.settings.model import Settings
from literesearcher.testing.scripted_engine import ScriptedEngine

QUESTION = "Which function of the heapq module merges several sorted inputs into one sorted iterator?"
THOUGHTS = (
    "I have to find a function of heapq that merges sorted inputs. I search the documentation first.",
    "The page pydoc:heapq.merge looks right. I open it to be sure of what it does.",
    "The page says that merge takes several sorted inputs and returns one sorted iterator. That is the answer.",
)
SEARCH = '{"name": "search", "arguments": {"query": ["heapq merge sorted inputs", "heapq module functions"]}}'
VISIT = '{"name": "visit", "arguments": {"url": ["pydoc:heapq.merge"], "goal": "What does heapq.merge do?"}}'
ANSWER = "heapq.merge, as its page pydoc:heapq.merge says"
TURNS = (
    f"{THOUGHTS[0]}\n</think>\n<tool_call>\n{SEARCH}\n</tool_call>",
    f"{THOUGHTS[1]}\n</think>\n<tool_call>\n{VISIT}\n</tool_call>",
    f"{THOUGHTS[2]}\n</think>\n<answer>\n{ANSWER}\n</answer>",
)
"""As generated behind a prompt that ends in `<think>\\n`."""
_WORDS = (
    *("heap", "sorted", "list", "item", "iterator", "module", "function", "input", "value", "key", "queue", "order"),
    *("return", "page", "index", "tree", "first", "last", "small", "large", "number", "of", "the", "a", "to", "in"),
    *("is", "as", "with", "for", "from", "and", "which", "that", "one", "several", "merge", "push", "pop", "replace"),
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def recorded(folder: Path) -> tuple[Message, ...]:
    """The messages of the third turn's prompt, as the platform makes them in `folder` with its built-in corpus."""
    settings = Settings(data_dir=folder)
    prepare_corpus(settings)
    return asyncio.run(_record(settings))


async def _record(settings: Settings) -> tuple[Message, ...]:
    engine = ScriptedEngine(TURNS)
    async with open_platform(settings) as platform:
        taught = dataclasses.replace(platform, engine=engine)
        made = new_job(
            JobSpec(input=QUESTION),
            tenant_id=TENANT,
            research=settings.research,
            prompts=platform.prompts,
            now=platform.clock.now(),
            fidelity=settings.tools.fidelity,
        )
        job, _ = await platform.store.create(made)
        ended = await taught.orchestrator().run_job(job.id, tenant_id=TENANT)
    assert ended.stop_reason == "answer", ended
    return engine.requests[-1].messages


def varied(messages: tuple[Message, ...], seed: int) -> tuple[Message, ...]:
    """The same conversation on another day, with made-up tool results of another length; seed 0: its own results."""
    rng = random.Random(seed)
    day = f"20{rng.randrange(20, 40)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    said = iter(TURNS)
    made = []
    for message in messages:
        if message.role == "system":
            made.append(Message("system", _DATE.sub(day, message.content)))
        elif message.role == "assistant":
            made.append(Message("assistant", next(said), opened_thought=True))
        elif seed and message.content.startswith("<tool_response>"):
            text = " ".join(rng.choice(_WORDS) for _ in range(rng.randrange(20, 200)))
            made.append(Message("user", f"<tool_response>\n{text}\n</tool_response>"))
        else:
            made.append(message)
    return (*made, Message("assistant", next(said), opened_thought=True))
