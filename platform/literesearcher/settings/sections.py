"""The frozen sections, one a room. Environment: `LITERESEARCHER_<SECTION>__<FIELD>`. Neighbour: `provider_sections`.

Owns: names, types, ranges and defaults. Refuses to know: what the rooms do with them. `settings.load` reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

EngineKind = Literal["extractive", "openai", "sglang", "transformers"]
SearchProvider = Literal["local", "serper", "searxng", "brave", "tavily"]
PageProvider = Literal["local", "direct", "jina", "scrapedo", "firecrawl"]


class Section(BaseModel):
    """Frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class StoreSection(Section):
    """The job store."""

    url: str | None = Field(None, description="SQLAlchemy URL; default: SQLite under the data directory.")


class RedisSection(Section):
    """Wake-ups and live text between processes; also kept tool results and rates, unless TOOLS__REDIS_URL is set."""

    url: SecretStr | None = Field(None, description="redis://…; none: in process.")


class EngineSection(Section):
    """A model backend; also the form of the EXTRACTOR and COMPRESSOR sections."""

    kind: EngineKind | None = Field(None, description="Default: openai when a base URL is set, else extractive.")
    base_url: str | None = Field(None, description="OpenAI-compatible server, ends in /v1.")
    model: str | None = Field(
        None,
        description="openai: default is the one model that the server lists; transformers: folder of the checkpoint, "
        "or its name on the Hub, `ORGANISATION/NAME` or `ORGANISATION/NAME@REVISION`.",
    )
    api_key: SecretStr | None = Field(None, description="Bearer key, where the server wants one.")
    context_length: int | None = Field(
        None, ge=2048, le=1_048_576, description="Tokens; default: the server's, else 131072."
    )
    tokenizer_file: Path | None = Field(
        None, description="The model's tokenizer.json: exact token counts, and endpoint `tokens`."
    )
    endpoint: Literal["chat", "completions", "tokens"] = Field(
        "chat",
        description="chat: the server renders messages; completions: our own append-only rendering; tokens: the same "
        "as token ids, so that no page can spell a control token (needs TOKENIZER_FILE).",
    )
    opens_thought: bool = Field(
        True,
        description="completions, tokens: open the assistant turn with <think>, as the checkpoint's template does.",
    )
    stream: Literal["auto", "always", "never"] = Field("auto", description="auto: stream where somebody listens.")
    request_timeout_seconds: float = Field(600.0, gt=0, le=3600, description="One model call at most.")
    tries: int = Field(4, ge=1, le=20, description="Tries of one model call, by the one retry owner.")


class ToolsSection(Section):
    """The tool proxy."""

    search: list[SearchProvider] | None = Field(
        None, description="Provider ids in order; default by what is configured."
    )
    pages: list[PageProvider] | None = Field(None, description="Provider ids in order; default by what is configured.")
    url: str | None = Field(None, description="A tool proxy to use (`http://tools:8001`) instead of one in process.")
    fidelity: Literal["published", "improved"] = Field(
        "improved", description="published: the model reads what the published tools gave, to the byte."
    )
    repeats: Literal["fetch", "journal"] = Field(
        "fetch", description="journal: a call that the same job made before is answered with the same text."
    )
    cache: Literal["on", "off"] = Field("on", description="off turns off every reuse: cache and single flight.")
    redis_url: SecretStr | None = Field(
        None, description="Shared cache and limits; default: the REDIS section's; without either: in process."
    )
    redis_timeout_seconds: float = Field(
        0.25, gt=0, le=10, description="A shared cache that takes longer is done without."
    )
    cache_sharing: Literal["hidden", "shown", "off"] = Field(
        "hidden",
        description="What another tenant's call paid for: read as fetched, shown as a hit with its age, or not shared.",
    )
    search_fresh_seconds: float = Field(21_600.0, ge=0, description="A kept search is as good as new for so long.")
    search_stale_seconds: float = Field(
        259_200.0, ge=0, description="And for so long after that it is given while a new one is fetched."
    )
    recent_fresh_seconds: float = Field(
        900.0, ge=0, description="The same for searches that ask for news, such as `latest`, `today`."
    )
    recent_stale_seconds: float = Field(0.0, ge=0, description="And while a new one is fetched.")
    page_fresh_seconds: float = Field(86_400.0, ge=0, description="A kept page is as good as new for so long.")
    page_stale_seconds: float = Field(604_800.0, ge=0, description="And while a new one is fetched.")
    extraction_fresh_seconds: float = Field(604_800.0, ge=0, description="An extraction of the same text and goal.")
    negative_seconds: float = Field(
        300.0, ge=0, description="A search without results, or a page that is not there, is not asked for again."
    )
    record_days: float = Field(365.0, gt=0, description="How long what `cache: record` fetched is kept.")
    hedge: bool = Field(True, description="Ask a second time where a provider takes longer than its usual p95.")
    host_per_second: float = Field(5.0, gt=0, description="Fetches of one site a second, all jobs together.")
    host_concurrency: int = Field(8, ge=1, description="Fetches of one site at once.")
    breaker_failures: int = Field(8, ge=1, description="Failures in a row that open a provider's circuit breaker.")
    breaker_seconds: float = Field(20.0, gt=0, description="How long it stays open before one request may try.")
    intranet: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Hosts, domains and networks inside the perimeter that a tenant's jobs may read, by tenant "
        "(`*`: every tenant).",
    )
    published_prefix: str = Field(
        "/published", description="Where the published tool servers' own shapes are served: /search, /browse, /health."
    )
    host: str = Field("127.0.0.1", description="Address of `tools serve`.")
    port: int = Field(8001, ge=0, le=65535, description="Port of `tools serve`.")
    token: SecretStr | None = Field(
        None, description="Service token of `tools serve` and of those who use it; without one it is loopback only."
    )


class CorpusSection(Section):
    """The local corpus: one directory, however many processes read it."""

    dir: Path | None = Field(None, description="Where it lies; default: `corpus` under the data directory.")
    read_only: bool = Field(False, description="Read it only: another process, or an image, builds and changes it.")
    manifest_file: Path | None = Field(
        None, description="JSON manifest of the corpora that there are; built at the start."
    )


class TenantBudget(Section):
    """What a tenant may spend on tools in a day (UTC). None: no limit."""

    calls_per_day: int | None = Field(None, ge=0, description="Tool calls.")
    usd_per_day: float | None = Field(None, ge=0, description="By the price list.")


class BudgetsSection(Section):
    """What tenants may spend on tools."""

    calls_per_day: int | None = Field(None, ge=0, description="Tool calls of a tenant in a day (UTC).")
    usd_per_day: float | None = Field(None, ge=0, description="USD of a tenant in a day (UTC), by the price list.")
    tenants: dict[str, TenantBudget] = Field(
        default_factory=dict, description='Other budgets for these tenants, such as {"lab": {"usd_per_day": 50}}.'
    )


class MetricsSection(Section):
    """Prometheus metrics, on a port of their own."""

    host: str = Field("127.0.0.1", description="Address of the metrics port.")
    port: int | None = Field(
        None, ge=0, le=65535, description="0 takes any free one; default: 9101 for `tools serve`, none elsewhere."
    )


class AdmissionSection(Section):
    """Which jobs start, and when."""

    weights: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(
        default_factory=dict, description='Shares of tenants in what runs at once, else 1, such as {"lab": 4}.'
    )
    max_wait_seconds: float | None = Field(
        None, ge=0, description="A job that would wait longer to start is refused with 429; default: none is."
    )


class ResearchSection(Section):
    """The agent."""

    system_prompt_file: Path | None = Field(None, description="UTF-8 text to use instead of the shipped instructions.")
    extractor_prompt_file: Path | None = Field(
        None, description="UTF-8 text to use instead of the shipped page-extraction prompt."
    )
    question_form: Literal["bare", "space", "label"] = Field(
        "bare", description="How the question is written: itself, ` Question: …`, or `Question:…`."
    )
    profile: Literal["inference", "training"] = Field(
        "inference", description="Which world the tools imitate; training is for rollouts."
    )
    at_context_limit: Literal["answer", "compress"] = Field(
        "answer", description="A full context: ask for the answer, or compress what was read and go on."
    )
    max_concurrent_jobs: int = Field(64, ge=1, le=100_000, description="Jobs at once in one process.")
    max_turns: int = Field(100, ge=1, le=1000, description="Model turns of a job at most, where it names none.")
    max_tool_calls: int | None = Field(None, ge=1, le=10_000, description="Tool calls of a job at most.")
    max_tool_cost_usd: float | None = Field(
        None, ge=0, description="What a job's tool calls may cost at most, by the price list."
    )
    max_tokens: int | None = Field(None, ge=1, description="Tokens of a job at most.")
    timeout_seconds: float = Field(9000.0, gt=0, le=604_800, description="Wall clock of a job, downtime included.")
    retention_days: float | None = Field(
        None, gt=0, description="Ended jobs older than this are removed; default: kept."
    )


class GatewaySection(Section):
    """The HTTP face."""

    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback a key is needed.")
    port: int = Field(8000, ge=0, le=65535, description="Port; 0 takes any free one.")
    anonymous: bool = Field(False, description="Serve beyond loopback without any key.")
    bootstrap_key_file: Path | None = Field(
        None, description="File of one key `lr_ID_SECRET`, put into the store once."
    )
    names: list[str] = Field(default_factory=list, description="Host names served beside loopback and the bound host.")
    model_requests: int = Field(
        16, ge=1, le=10_000, description="One tenant's requests to the raw model under way at once, in each gateway."
    )


class OrchestratorSection(Section):
    """The worker."""

    lease_seconds: float = Field(
        15.0, ge=1, le=3600, description="How long a job of a dead process waits before another takes it over."
    )
    poll_seconds: float = Field(1.0, gt=0, le=60, description="How often to look for jobs where no bell rings.")
    grace_seconds: float = Field(30.0, ge=0, le=3600, description="SIGTERM: finish or hand back within this time.")
