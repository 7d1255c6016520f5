"""What the timed engine says: a whole research job in the model's protocol, made of the program, the turn and the seed.

Owns: texts. Refuses to know: time, tokens. The same request always gives the same text.
"""

from __future__ import annotations

import json
import random

from literesearcher.engine.port import GenerationRequest

WORDS = ("search", "found", "pages", "one", "of", "them", "names", "the", "year", "and", "place", "question", "asks")


class ResearchScript:
    """`searches` turns with a search, then an answer; each thought has about `words` words."""

    def __init__(self, searches: int = 2, words: int = 40) -> None:
        self._searches = searches
        self._words = words

    def __call__(self, request: GenerationRequest) -> str:
        """The text of one generation."""
        if request.purpose == "extract":
            return json.dumps({"rational": "It is there.", "evidence": "A line of it.", "summary": "What it says."})
        if request.purpose == "compress":
            return "Searched, and found a page."
        chance = random.Random(f"{request.sampling.seed}|{request.program}|{request.turn}|{request.purpose}")
        count = chance.randint(max(1, self._words // 2), max(1, self._words * 3 // 2))
        thought = f"<think>\n{' '.join(chance.choice(WORDS) for _ in range(count))}\n</think>\n"
        asked = sum(message.role == "assistant" for message in request.messages)
        if request.purpose == "turn" and asked < self._searches:
            call = {"name": "search", "arguments": {"query": [f"asyncio task {chance.randrange(1000)}"]}}
            return f"{thought}<tool_call>\n{json.dumps(call)}\n</tool_call>"
        return f"{thought}<answer>Answer of {request.program} after {asked} searches.</answer>"
