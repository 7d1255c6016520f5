"""The whole settings object, frozen. `settings.load` makes it from the environment and a `.env` file.

Owns: what is in force where nothing is named (engine, providers, store). Refuses to know: the environment.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from literesearcher.settings.cluster_sections import ClusterSection, SglangSection
from literesearcher.settings.provider_sections import (
    BraveSection,
    DirectSection,
    FirecrawlSection,
    JinaSection,
    ScrapedoSection,
    SearxngSection,
    SerperSection,
    TavilySection,
)
from literesearcher.settings.sections import (
    AdmissionSection,
    BudgetsSection,
    CorpusSection,
    EngineSection,
    GatewaySection,
    MetricsSection,
    OrchestratorSection,
    RedisSection,
    ResearchSection,
    Section,
    StoreSection,
    ToolsSection,
)


class Settings(Section):
    """All sections. `Settings()` is the embedded default and reads nothing from the environment."""

    data_dir: Path = Field(
        default_factory=lambda: Path.home() / ".local" / "share" / "literesearcher",
        description="Job store, corpus and indexes; default: `$XDG_DATA_HOME/literesearcher`.",
    )
    store: StoreSection = StoreSection()
    redis: RedisSection = RedisSection()
    engine: EngineSection = EngineSection()
    extractor: EngineSection = EngineSection()
    compressor: EngineSection = EngineSection()
    tools: ToolsSection = ToolsSection()
    serper: SerperSection = SerperSection()
    searxng: SearxngSection = SearxngSection()
    brave: BraveSection = BraveSection()
    tavily: TavilySection = TavilySection()
    direct: DirectSection = DirectSection()
    jina: JinaSection = JinaSection()
    scrapedo: ScrapedoSection = ScrapedoSection()
    firecrawl: FirecrawlSection = FirecrawlSection()
    corpus: CorpusSection = CorpusSection()
    budgets: BudgetsSection = BudgetsSection()
    admission: AdmissionSection = AdmissionSection()
    metrics: MetricsSection = MetricsSection()
    research: ResearchSection = ResearchSection()
    gateway: GatewaySection = GatewaySection()
    orchestrator: OrchestratorSection = OrchestratorSection()
    sglang: SglangSection = SglangSection()
    cluster: ClusterSection = ClusterSection()

    @property
    def engine_kind(self) -> str:
        """The engine in force: named, else openai where a base URL is set, else extractive."""
        return self.engine.kind or ("openai" if self.engine.base_url else "extractive")

    @property
    def search_providers(self) -> list[str]:
        """Search providers in force, in order: the live web's that are configured, else `local`."""
        if self.tools.search is not None:
            return list(self.tools.search)
        return self._live_search() or ["local"]

    def _live_search(self) -> list[str]:
        keyed = [name for name in ("serper", "brave", "tavily") if getattr(self, name).api_key]
        return keyed + (["searxng"] if self.searxng.base_url else [])

    @property
    def page_providers(self) -> list[str]:
        """Page providers in force, in order: `local` alone until the live web is configured."""
        if self.tools.pages is not None:
            return list(self.tools.pages)
        if not self._live_search():
            return ["local"]
        rendering = ["scrapedo"] if self.scrapedo.api_key else []
        rendering += ["firecrawl"] if self.firecrawl.api_key or self.firecrawl.own_base else []
        return ["direct", "jina", *rendering]

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the job store."""
        return self.store.url or sqlite_url(self.data_dir / "jobs.sqlite3")

    @property
    def models_dir(self) -> Path:
        """Where models of the Hub lie that no folder is named for."""
        return self.data_dir / "models"

    @property
    def model_folder(self) -> Path | None:
        """The folder of SGLang's checkpoint, whether it is there yet or not."""
        section = self.sglang
        if section.model_path is not None:
            return Path(section.model_path)
        return hub_folder(self.models_dir, section.model_id, section.model_revision) if section.model_id else None


def hub_folder(models: Path, model: str, revision: str) -> Path:
    """One folder a model and revision."""
    name = model.replace("/", "--")
    return models / (name if revision == "main" else f"{name}@{revision.replace('/', '--')}")


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file: percent and question marks, which mean something in a URL, are percent-encoded."""
    return f"sqlite:///{file}".replace("%", "%25").replace("?", "%3F")
