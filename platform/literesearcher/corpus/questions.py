"""The twenty-five questions that ship with the built-in corpus, with the answers and pages that are right for them.

Owns: the questions (`questions.json`) and when an answer is right. Refuses to know: how questions are run.
Above: the tests and `literesearcher doctor`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `expected`: all of these stand in a right answer, whatever their case; `page`: a right page, or
    several with `|` between them.

    A question with hops 0 cannot be answered from the built-in corpus: right is to end without an answer.
    """

    question: str
    expected: tuple[str, ...]
    page: str | None
    hops: int

    @property
    def answerable(self) -> bool:
        """False where the job must end `no_evidence`."""
        return self.hops > 0

    def accepts(self, answer: str | None, urls: Collection[str]) -> bool:
        """True where this answer, resting on these pages, is right. `answer` None: the job ended without one."""
        if not self.answerable:
            return answer is None
        if answer is None or len(answer) > 300:
            return False
        pages = (self.page or "").split("|")
        return all(part.lower() in answer.lower() for part in self.expected) and any(page in urls for page in pages)


def shipped() -> tuple[Question, ...]:
    """The questions, in a fixed order: one hop, two hops, unanswerable."""
    rows = json.loads(Path(__file__).with_name("questions.json").read_text(encoding="utf-8"))
    return tuple(
        Question(question=row["question"], expected=tuple(row["expected"]), page=row["page"], hops=row["hops"])
        for row in rows
    )
