"""The frozen sections, one a room or provider. Environment: `LITERESEARCHER_<SECTION>__<FIELD>`.

Owns: names, types, ranges and defaults. Refuses to know: what the rooms do with them. `settings.load` reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

EngineKind = Literal["extractive", "openai", "sglang", "transformers"]
SearchProvider = Literal["local", "serper"]
PageProvider = Literal["local", "direct", "jina", "scrapedo"]


class Section(BaseModel):
    """Frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class StoreSection(Section):
    """The job store."""

    url: str | None = Field(None, description="SQLAlchemy URL; default: SQLite under the data directory.")


class RedisSection(Section):
    """Wake-ups and live text between processes."""

    url: SecretStr | None = Field(None, description="redis://…; none: in process.")


class EngineSection(Section):
    """A model backend; also the form of the EXTRACTOR section."""

    kind: EngineKind | None = Field(None, description="Default: openai when a base URL is set, else extractive.")
    base_url: str | None = Field(None, description="OpenAI-compatible server, ends in /v1.")
    model: str | None = Field(None, description="Default: the one model that the server lists.")
    api_key: SecretStr | None = Field(None, description="Bearer key, where the server wants one.")
    context_length: int | None = Field(
        None, ge=2048, le=1_048_576, description="Tokens; default: the server's, else 131072."
    )
    tokenizer_file: Path | None = Field(None, description="The model's tokenizer.json, for exact token counts.")
    endpoint: Literal["chat", "completions"] = Field(
        "chat", description="chat: the server renders messages; completions: our own append-only rendering."
    )
    opens_thought: bool = Field(
        True, description="completions: open the assistant turn with <think>, as the checkpoint's template does."
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
    cache: Literal["on", "off"] = Field("on", description="off turns off every reuse: cache and single flight.")
    host: str = Field("127.0.0.1", description="Address of `tools serve`.")
    port: int = Field(8001, ge=0, le=65535, description="Port of `tools serve`.")
    token: SecretStr | None = Field(None, description="Service token; without one `tools serve` is loopback only.")


class ProviderSection(Section):
    """One provider: its key and where it answers."""

    api_key: SecretStr | None = Field(None, description="The provider's key.")
    base_url: str | None = Field(None, description="Where the provider answers.")


class SerperSection(ProviderSection):
    """`POST {base}/search`."""

    base_url: str | None = Field("https://google.serper.dev", description="Searches are `POST {base}/search`.")


class JinaSection(ProviderSection):
    """`GET {base}/{url}`."""

    base_url: str | None = Field("https://r.jina.ai", description="Pages are `GET {base}/{url}`.")


class ScrapedoSection(ProviderSection):
    """`GET {base}/?token=…&url=…`."""

    base_url: str | None = Field("https://api.scrape.do", description="Pages are `GET {base}/?token=…&url=…`.")


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


class OrchestratorSection(Section):
    """The worker."""

    lease_seconds: float = Field(
        15.0, ge=1, le=3600, description="How long a job of a dead process waits before another takes it over."
    )
    poll_seconds: float = Field(1.0, gt=0, le=60, description="How often to look for jobs where no bell rings.")
    grace_seconds: float = Field(30.0, ge=0, le=3600, description="SIGTERM: finish or hand back within this time.")
