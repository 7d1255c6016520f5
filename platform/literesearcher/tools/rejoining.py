"""The text of a finished tool call made again of its recorded items: what a replay compares with the journal.

Refuses to know: journals, providers; nothing is fetched. Below: `formatting`.
"""

from __future__ import annotations

from literesearcher.research.events import JobCreated, ToolCompleted
from literesearcher.tools import formatting

_REFUSAL = "Error: "
"""How every sentence begins that stands in place of a result (`arguments`, `proxy`)."""


def rejoined(event: ToolCompleted, created: JobCreated) -> str | None:
    """The text of the whole call. None where the items do not say: there are none, because the call was refused with a
    sentence, or their writer kept no texts of its own for them."""
    texts = [item.text for item in event.items]
    if not texts:
        return None if event.text.startswith(_REFUSAL) else ""
    if not any(texts):
        return None
    if event.name == "visit":
        return formatting.join_pages(texts)
    return formatting.join_searches(texts, created.profile)
