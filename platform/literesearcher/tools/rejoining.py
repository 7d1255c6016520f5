"""The text of a finished tool call made again of its recorded items: what a replay compares with the journal.

Refuses to know: journals, providers; nothing is fetched. Below: `formatting`.
"""

from __future__ import annotations

from literesearcher.research.events import JobCreated, ToolCompleted
from literesearcher.tools import formatting


def rejoined(event: ToolCompleted, created: JobCreated) -> str | None:
    """The text of the whole call, None where no item was recorded (wrong arguments were answered with a sentence)."""
    texts = [item.text for item in event.items]
    if not texts or not any(texts):
        return None
    if event.name == "visit":
        return formatting.join_pages(texts)
    return formatting.join_searches(texts, created.profile)
