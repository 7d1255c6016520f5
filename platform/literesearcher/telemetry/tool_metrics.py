"""The tool proxy's metrics, all declared here: names, units, help, labels.

Owns: the declarations on a registry that the wiring makes, one a process. Refuses to know: who serves them
(`telemetry.exposition`), what tools do. Labels are bounded: provider ids, tool names, outcome codes; never a job, a
tenant, a query or a URL.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 150.0, 600.0)


class ToolMetrics:
    """One object a process, handed to everything that counts."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry if registry is not None else CollectorRegistry()
        self.registry = registry
        name = "literesearcher_tools"
        self.calls = Counter(f"{name}_calls", "Tool calls by tool and outcome.", ["tool", "outcome"], registry=registry)
        self.call_seconds = Histogram(
            f"{name}_call_seconds", "Whole tool calls.", ["tool"], buckets=_SECONDS, registry=registry
        )
        self.items = Counter(
            f"{name}_items", "Queries and pages by kind and status.", ["kind", "status"], registry=registry
        )
        self.cache = Counter(
            f"{name}_cache_lookups",
            "Cache lookups by kind (search, page, extraction) and result (hit, stale, miss, coalesced, bypass, "
            "unavailable).",
            ["kind", "result"],
            registry=registry,
        )
        self.cache_errors = Counter(
            f"{name}_cache_errors",
            "Operations on the shared cache that failed or took too long, by operation; record: what a job wanted "
            "recorded and is not.",
            ["operation"],
            registry=registry,
        )
        self.provider_requests = Counter(
            f"{name}_provider_requests", "Requests by provider and outcome.", ["provider", "outcome"], registry=registry
        )
        self.provider_seconds = Histogram(
            f"{name}_provider_seconds", "Requests to providers.", ["provider"], buckets=_SECONDS, registry=registry
        )
        self.provider_wait_seconds = Histogram(
            f"{name}_provider_wait_seconds",
            "Waits before a request, by provider and reason (rate, concurrency, retry_after, site_rate, "
            "site_concurrency).",
            ["provider", "reason"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.provider_cost = Counter(
            f"{name}_provider_cost_usd", "Spent by the price list, by provider.", ["provider"], registry=registry
        )
        self.breaker_open = Gauge(
            f"{name}_breaker_open",
            "1 while the provider's circuit breaker is open, for all or for a tenant.",
            ["provider"],
            registry=registry,
        )
        self.hedges = Counter(
            f"{name}_hedges", "Second requests by provider and result (won, lost).", ["provider", "result"],
            registry=registry,
        )  # fmt: skip
        self.refusals = Counter(
            f"{name}_refusals", "Targets refused, by reason (guard, or a rule of the source policy).", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.page_kinds = Counter(
            f"{name}_page_kinds", "Fetched pages by kind (page, paywall, consent, captcha, script_only).", ["kind"],
            registry=registry,
        )  # fmt: skip
        self.extractions = Counter(
            f"{name}_extractions",
            "Texts read for a goal by outcome (read; scored: by words, after the extractor failed; failed).",
            ["outcome"],
            registry=registry,
        )
        self.chunks = Counter(f"{name}_page_chunks", "Chunks of long pages that were read.", registry=registry)
