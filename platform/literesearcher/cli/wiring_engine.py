"""Which engine a section of the settings means.

Owns: the kinds that this version holds, where a model of the Hub lies. Refuses to know: what engines do. Their modules
are imported only when used.
"""

from __future__ import annotations

import logging
from pathlib import Path

from literesearcher.cli.prompt_files import SYSTEM_PROMPT_FILE
from literesearcher.engine.port import Engine
from literesearcher.engine.start_phases import PhaseSink
from literesearcher.engine.weights import Source, Weights
from literesearcher.errors import ConfigurationError
from literesearcher.research.messages import Message
from literesearcher.research.prompts import Prompts, with_date
from literesearcher.settings.cluster_sections import is_hub_name
from literesearcher.settings.model import Settings, hub_folder
from literesearcher.settings.prompts import read_prompt_file
from literesearcher.settings.sections import EngineSection
from literesearcher.timing.clock import Clock

logger = logging.getLogger(__name__)

TRANSFORMERS_MODEL = "LITERESEARCHER_ENGINE__MODEL"


def engine_kind(section: EngineSection) -> str:
    """As named, else openai where a base URL is set, else extractive."""
    return section.kind or ("openai" if section.base_url else "extractive")


def main_engine(settings: Settings, clock: Clock, *, on_phase: PhaseSink | None = None) -> Engine:
    """The engine of the ENGINE section, in a process that may hold SGLang: warmed up by the prompt of all jobs.
    `on_phase` is told each phase of its start."""
    kind = engine_kind(settings.engine)
    if kind != "sglang":
        return make_engine(settings.engine, clock, models=settings.models_dir)
    from literesearcher.engine.sglang.engine import SglangEngine

    return SglangEngine(
        settings.sglang,
        weights=sglang_weights(settings, clock),
        opens_thought=settings.engine.opens_thought,
        warm_up=_shared_opening(settings, clock),
        clock=clock,
        on_phase=on_phase,
    )


def compressing_engine(settings: Settings, clock: Clock) -> Engine | None:
    """The engine that the COMPRESSOR section names, None where it names none: the main one compresses then."""
    section = settings.compressor
    if section.kind is None and section.base_url is None:
        return None
    return make_engine(section, clock, models=settings.models_dir)


def sglang_weights(settings: Settings, clock: Clock) -> Weights:
    """The folder of SGLang's checkpoint. ConfigurationError where none is named."""
    section, folder = settings.sglang, settings.model_folder
    if folder is None:
        raise ConfigurationError(
            "ENGINE__KIND=sglang needs LITERESEARCHER_SGLANG__MODEL_PATH, the folder of a checkpoint, or "
            "LITERESEARCHER_SGLANG__MODEL_ID, its name on the Hub"
        )
    source = Source(section.model_id, section.model_revision) if section.model_id else None
    return Weights(folder, source, sha256=section.model_sha256, clock=clock)


def transformers_weights(section: EngineSection, models: Path, clock: Clock) -> Weights:
    """The folder that MODEL names, or the folder of the model of the Hub that it names (`ORGANISATION/NAME`, with
    `@REVISION` for another than main). ConfigurationError where it is neither."""
    name = section.model or ""
    model, _, revision = name.partition("@")
    if Path(name).is_dir() or not is_hub_name(model, revision or "main"):
        return Weights(Path(name), None, sha256=None, clock=clock, setting=TRANSFORMERS_MODEL)
    source = Source(model, revision or "main")
    folder = hub_folder(models, source.model, source.revision)
    return Weights(folder, source, sha256=None, clock=clock, setting=TRANSFORMERS_MODEL)


def _shared_opening(settings: Settings, clock: Clock) -> tuple[Message, ...]:
    """How every conversation of today begins; until the date, those of other days too."""
    try:
        system = read_prompt_file(settings.research.system_prompt_file, SYSTEM_PROMPT_FILE)
    except ConfigurationError as error:
        # In a replica of a cluster: who makes the prompts is elsewhere, and says so itself.
        logger.warning("no warm-up: %s", error.message)
        return ()
    return (Message("system", with_date(Prompts.of(system).system, clock.now().date().isoformat())),)


def make_engine(section: EngineSection, clock: Clock, *, models: Path | None = None) -> Engine:
    """The engine of a section, in a process that holds no SGLang. ConfigurationError for a kind that is not in this
    version, or what it lacks. `models` is where models of the Hub lie."""
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

        if section.model is not None and models is not None:
            weights = transformers_weights(section, models, clock)
            if weights.source is not None and not weights.present:
                raise ConfigurationError(
                    f"{TRANSFORMERS_MODEL}={section.model} is no folder, and {weights.source} of the Hub is not "
                    "downloaded yet: literesearcher model fetch"
                )
            section = section.model_copy(update={"model": str(weights.folder)})
        return TransformersEngine(section)
    if kind == "sglang":
        raise ConfigurationError(
            "SGLang runs in the process of the orchestrator or in a replica, not in this one: name a model server with "
            "LITERESEARCHER_EXTRACTOR__BASE_URL"
        )
    raise ConfigurationError(f"there is no engine {kind}")
