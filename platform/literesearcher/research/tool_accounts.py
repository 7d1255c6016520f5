"""What a tool call is for the job's accounts: how many items it asks for, what it may cost, which call it repeats.

Owns: the unit of money (millionths of a USD, so that sums of many calls are exact) and the canonical form of a call.
Refuses to know: prices (an attempt's first event brings them), tenants' budgets (`jobs.spending`), carrying a call out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_ITEMS = {"search": "query", "visit": "url"}
"""The argument that holds the items of each tool."""


def micro_usd(usd: float) -> int:
    """Millionths of a USD, to the nearest."""
    return round(usd * 1_000_000)


def sum_usd(*amounts: float) -> float:
    """USD, exact to the millionth whatever the order."""
    return sum(micro_usd(amount) for amount in amounts) / 1_000_000


def item_count(name: str, arguments: Mapping[str, Any]) -> int:
    """Queries or pages that the call asks for; 1 where it cannot be told."""
    value = arguments.get(_ITEMS.get(name, ""))
    return max(1, len(value)) if isinstance(value, list) else 1


def reserve_usd(prices: Mapping[str, float], name: str, arguments: Mapping[str, Any]) -> float:
    """What the call may cost at most. `prices`: USD of one item by tool."""
    return sum_usd(prices.get(name, 0.0) * item_count(name, arguments))


def canonical_call(name: str, arguments: Mapping[str, Any]) -> str:
    """The same text for calls that mean the same: one item is a list of one; blank items and what no tool reads are
    left out. The order of items counts, since it is the order of what the model reads."""
    value = arguments.get(_ITEMS.get(name, ""))
    items = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str) and item.strip()]
    goal = arguments.get("goal") if name == "visit" else None
    return json.dumps([name, items, goal if isinstance(goal, str) else None])
