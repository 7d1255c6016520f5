"""Which engine a section of the settings means.

Owns: the kinds that this version holds. Refuses to know: what engines do. Their modules are imported only when used.
"""

from __future__ import annotations

from literesearcher.engine.port import Engine
from literesearcher.errors import ConfigurationError
from literesearcher.settings.cluster_sections import SglangSection
from literesearcher.settings.sections import EngineSection
from literesearcher.timing.clock import Clock


def engine_kind(section: EngineSection) -> str:
    """As named, else openai where a base URL is set, else extractive."""
    return section.kind or ("openai" if section.base_url else "extractive")


def make_engine(section: EngineSection, clock: Clock, sglang: SglangSection | None = None) -> Engine:
    """The engine of a section. ConfigurationError for a kind that is not in this version, or what it lacks. `sglang`
    is given where this process may hold that runtime."""
    kind = engine_kind(section)
    if kind == "openai":
        from literesearcher.engine.openai import OpenAIEngine

        return OpenAIEngine(section, clock=clock)
    if kind == "extractive":
        from literesearcher.engine.extractive import ExtractiveEngine

        if section.tokenizer_file is not None:
            from literesearcher.engine.tokenizer import Tokenizer

            # It counts nothing here, but a wrong path must not wait for the day when a server is set.
            Tokenizer.from_file(section.tokenizer_file)
        return ExtractiveEngine()
    if kind == "transformers":
        from literesearcher.engine.transformers.engine import TransformersEngine

        return TransformersEngine(section)
    if kind == "sglang" and sglang is not None:
        from literesearcher.engine.sglang.engine import SglangEngine

        return SglangEngine(sglang, opens_thought=section.opens_thought)
    if kind == "sglang":
        raise ConfigurationError(
            "SGLang runs in the process of the orchestrator or in a replica, not in this one: name a model server with "
            "LITERESEARCHER_EXTRACTOR__BASE_URL"
        )
    raise ConfigurationError(f"there is no engine {kind}")
