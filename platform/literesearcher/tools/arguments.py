"""A tool call's arguments as the model wrote them: their shapes, their bounds, and the text that a wrong one gets.

Owns: the two tools' argument schemas, and forgiving but bounded reading. Refuses to know: carrying a call out.
"""

from __future__ import annotations

from typing import Any

from literesearcher.errors import CallerError
from literesearcher.reading.unicode_text import valid_unicode

MAX_ITEMS = 50
"""Queries or pages of one call; the published rollouts ask for five at most."""
MAX_QUERY_CHARACTERS = 4_000
MAX_GOAL_CHARACTERS = 20_000
MAX_URLS_CHARACTERS = 250_000
"""All URLs of a call together; a single one that is too long for any server reads as a page that is not there."""

SCHEMAS: list[dict[str, Any]] = [
    {
        "name": "search",
        "description": "Searches the web for each query and lists the best results.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "maxItems": MAX_ITEMS,
                    "description": "The search queries.",
                }
            },
            "required": ["query"],
        },
    },
    {
        "name": "visit",
        "description": "Reads each page and returns what in it serves the goal.",
        "parameters": {
            "type": "object",
            "properties": {
                "url": {
                    "anyOf": [
                        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_ITEMS},
                        {"type": "string"},
                    ],
                    "description": "The pages to read.",
                },
                "goal": {"type": "string", "description": "What to look for in them."},
            },
            "required": ["url", "goal"],
        },
    },
]


class UnusableArguments(CallerError):
    """Arguments of the wrong shape; the message is the text that the model reads."""

    default_code = "unusable_arguments"


def usable(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call as a tool takes them, and nothing else. `UnusableArguments`, for an unknown tool too."""
    if name == "search":
        return {"query": search_queries(arguments)}
    if name == "visit":
        urls, goal = visit_pages(arguments)
        return {"url": urls, "goal": goal}
    raise UnusableArguments(f"Error: Tool {name} not found", field="name")


def search_queries(arguments: dict[str, Any]) -> list[str]:
    """The queries in order, as written; blank ones left out."""
    return _strings(arguments, "query", "search", MAX_QUERY_CHARACTERS)


def visit_pages(arguments: dict[str, Any]) -> tuple[list[str], str]:
    """The URLs in order, as written, and the goal."""
    urls = _strings(arguments, "url", "visit", None)
    if sum(map(len, urls)) > MAX_URLS_CHARACTERS:
        raise UnusableArguments(
            f"Error: the strings in 'url' hold more than {MAX_URLS_CHARACTERS} characters together.", field="url"
        )
    goal = arguments.get("goal")
    if not isinstance(goal, str):
        raise UnusableArguments("Error: visit needs 'goal', a string that says what to look for.", field="goal")
    if len(goal) > MAX_GOAL_CHARACTERS:
        raise UnusableArguments(
            f"Error: 'goal' holds {len(goal)} characters; at most {MAX_GOAL_CHARACTERS} are taken.", field="goal"
        )
    return urls, valid_unicode(goal)


def _strings(arguments: dict[str, Any], field: str, tool: str, max_characters: int | None) -> list[str]:
    value = arguments.get(field)
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UnusableArguments(f"Error: {tool} needs '{field}', an array of strings.", field=field)
    wanted = [valid_unicode(item) for item in items if item.strip()]
    if not wanted:
        raise UnusableArguments(f"Error: {tool} needs at least one non-empty string in '{field}'.", field=field)
    if len(wanted) > MAX_ITEMS:
        raise UnusableArguments(
            f"Error: {tool} takes at most {MAX_ITEMS} strings in '{field}' a call; {len(wanted)} were given.",
            field=field,
        )
    if max_characters is not None and any(len(item) > max_characters for item in wanted):
        raise UnusableArguments(
            f"Error: a string in '{field}' holds more than {max_characters} characters.", field=field
        )
    return wanted
