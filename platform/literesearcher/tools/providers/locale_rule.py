"""Where a query is asked from: the published rule for Serper, followed for every engine that has a place to ask from.

Owns: the rule. Refuses to know: how an engine spells a place.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

_CJK = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")


def from_china(query: str) -> bool:
    """A query with Chinese characters searches from China, any other from the United States."""
    return _CJK.search(query) is not None


def one_language(query: str, wanted: Sequence[str], known: Container[str]) -> str | None:
    """The one language (ISO 639-1) that an engine is asked for where it takes one: the query's own by the rule above,
    unless a source policy wants others and the engine knows one of them. None: none of the wanted is known."""
    own = "zh" if from_china(query) else "en"
    if not wanted or own in wanted:
        return own
    return next((code for code in wanted if code in known), None)
