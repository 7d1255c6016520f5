"""Examples for readers of the OpenAPI document.

Owns: the values. Every request here is posted by a test, and every answer is held to its document's shape. Refuses to
know: which operation shows which.
"""

from __future__ import annotations

from typing import Any

JOB_ID = "job_0198f2c5d0e97c3fa1b2c3d4e5f60718"
QUESTION = "Which function of the heapq module merges several sorted inputs into one sorted iterator?"
_PATH = f"/v1/research/{JOB_ID}"
_USAGE = {
    "turns": 0,
    "tool_calls": 0,
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "cached_tokens": 0,
    "extraction_tokens": 0,
    "unknown_effects": 0,
    "tool_cost_usd": 0.0,
    "estimated_turns": 0,
}
_TOOLS = {
    "cache": "default",
    "sources": {
        "allow_domains": [],
        "deny_domains": [],
        "published_after": None,
        "published_before": None,
        "languages": [],
        "max_pages_per_domain": None,
    },
    "fidelity": "improved",
}

JOB_QUEUED: dict[str, Any] = {
    "id": JOB_ID,
    "object": "research.job",
    "status": "queued",
    "stop_reason": None,
    "input": QUESTION,
    "output": None,
    "usage": _USAGE,
    "error": None,
    "created_at": "2026-01-31T12:00:00.000000Z",
    "started_at": None,
    "ended_at": None,
    "deadline_at": "2026-01-31T14:30:00.000000Z",
    "priority": 0,
    "attempt": 0,
    "last_seq": 1,
    "engine": None,
    "tools": _TOOLS,
    "queue": {"position": 3, "start_seconds": 95.0},
    "metadata": {"ticket": "4711"},
    "links": {"self": _PATH, "events": f"{_PATH}/events", "cancel": f"{_PATH}/cancel"},
}
JOB_COMPLETED: dict[str, Any] = JOB_QUEUED | {
    "status": "completed",
    "stop_reason": "answer",
    "output": {
        "text": "heapq.merge",
        "citations": [
            {
                "url": "pydoc:heapq.merge",
                "title": "heapq.merge",
                "quote": "Merge multiple sorted inputs into a single sorted output.",
                "seq": 10,
            }
        ],
    },
    "usage": _USAGE | {"turns": 3, "tool_calls": 2, "prompt_tokens": 2100, "completion_tokens": 160},
    "started_at": "2026-01-31T12:00:00.020000Z",
    "ended_at": "2026-01-31T12:00:01.500000Z",
    "queue": None,
    "attempt": 1,
    "last_seq": 13,
    "engine": {"kind": "extractive", "model": "extractive", "language_model": False},
}
EVENT: dict[str, Any] = {
    "id": 2,
    "object": "research.event",
    "job": JOB_ID,
    "seq": 2,
    "type": "tool.started",
    "version": 1,
    "at": "2026-01-31T12:00:00.300000Z",
    "attempt": 1,
    "data": {"turn": 1, "name": "search", "arguments": {"query": ["heapq merge sorted inputs"]}},
}
REQUESTS: dict[str, dict[str, Any]] = {
    "question": {"summary": "A question", "value": {"input": QUESTION}},
    "limits": {
        "summary": "A question with limits, priority and notes",
        "value": {
            "input": QUESTION,
            "limits": {"max_turns": 20, "timeout_seconds": 600, "max_tool_calls": 40},
            "sampling": {"temperature": 0.6, "seed": 7},
            "priority": 10,
            "metadata": {"ticket": "4711"},
        },
    },
    "sources": {
        "summary": "A question with a source policy and a limit of money",
        "value": {
            "input": QUESTION,
            "limits": {"max_tool_cost_usd": 0.5},
            "tools": {
                "cache": "default",
                "sources": {
                    "allow_domains": ["python.org", ".edu"],
                    "deny_domains": ["pinterest.com"],
                    "published_after": "2020-01-01",
                    "languages": ["en"],
                    "max_pages_per_domain": 5,
                },
            },
        },
    },
    "conversation": {
        "summary": "A conversation to go on from",
        "value": {
            "messages": [
                {"role": "user", "content": "Which module of Python keeps a heap in a list?"},
                {"role": "assistant", "content": "heapq"},
                {"role": "user", "content": "And which function of it merges sorted inputs?"},
            ]
        },
    },
}

USAGE_OF_DAY: dict[str, Any] = {
    "object": "usage",
    "tenant": "default",
    "day": "2026-01-31",
    "tool_calls": 1240,
    "tool_cost_usd": 3.72,
    "limits": {"tool_calls": None, "tool_cost_usd": 50.0},
    "resets_at": "2026-02-01T00:00:00.000000Z",
}
