"""What several chunks of a page gave, as one extraction: evidence in page order, one summary, both bounded.

Owns: how much of each is kept, so that a long page takes no more of the model's context than a short one may. Refuses
to know: pages, extractors. Above: `reading`.
"""

from __future__ import annotations

from collections.abc import Sequence

from literesearcher.tools.pages.cut import estimate_tokens

EVIDENCE_TOKENS = 12_000
"""What one extraction may write at most (`extraction.MAX_NEW_TOKENS`)."""
SUMMARY_TOKENS = 2_000
_JOIN = {"rational": "\n", "evidence": "\n\n", "summary": "\n"}
_MOST = {"rational": SUMMARY_TOKENS, "evidence": EVIDENCE_TOKENS, "summary": SUMMARY_TOKENS}


def merged(found: Sequence[dict[str, str]]) -> dict[str, str]:
    """`rational`, `evidence`, `summary` of the whole; a single extraction is taken as it stands."""
    if len(found) == 1:
        return found[0]
    return {
        name: _JOIN[name].join(_fair([text for one in found if (text := one.get(name, "").strip())], _MOST[name]))
        for name in ("rational", "evidence", "summary")
    }


def _fair(texts: list[str], tokens: int) -> list[str]:
    """The texts, the longest shortened until all together hold `tokens`: what a short one leaves, a long one has."""
    sizes = [estimate_tokens(text) for text in texts]
    left, share = tokens, tokens
    for number, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - number)
        if size > share:
            break
        left -= size
    else:
        return texts
    return [
        text if size <= share else f"{text[: len(text) * share // size].rstrip()} […]"
        for text, size in zip(texts, sizes, strict=True)
    ]
