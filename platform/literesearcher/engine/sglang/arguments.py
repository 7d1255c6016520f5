"""The SGLANG section as SGLang's own command line.

Owns: which flag a setting becomes, and which settings contradict each other. A pure function: it imports nothing of
SGLang, whose own parser has the last word (and refuses nonsense that its constructors take). Flags are those of
PINNED. Refuses to know: checkpoints, processes. Above: `engine.sglang.runtime`.
"""

from __future__ import annotations

from collections.abc import Iterator

from literesearcher.errors import ConfigurationError
from literesearcher.settings.cluster_sections import SglangSection

PINNED = "0.5.23"
"""The one version whose flags, internals and token accounting these modules were written against."""


def server_arguments(section: SglangSection, model_path: str) -> list[str]:
    """SGLang's command line for a checkpoint at `model_path`. ConfigurationError where settings contradict."""
    return [*_flags(section, model_path)]


def environment(section: SglangSection) -> dict[str, str]:
    """What SGLang reads from the environment, to be set before it is imported."""
    if section.device != "cpu":
        return {}
    # A thread a rank: two replicas whose pools of threads share the cores give a twentieth of the tokens.
    env = {"OMP_NUM_THREADS": "1", "SGLANG_USE_CPU_ENGINE": "0"}
    if section.tensor_parallel > 1:
        env["SGLANG_CPU_OMP_THREADS_BIND"] = "|".join(str(core) for core in range(section.tensor_parallel))
    return env


def _flags(section: SglangSection, model_path: str) -> Iterator[str]:
    pool = section.kv_tokens
    if pool is not None and pool < section.context_length:
        raise ConfigurationError(
            f"LITERESEARCHER_SGLANG__KV_TOKENS={pool} is less than one conversation may grow to: raise it to "
            f"LITERESEARCHER_SGLANG__CONTEXT_LENGTH={section.context_length} or more, or lower that"
        )
    yield from ("--model-path", model_path)
    yield from ("--tp-size", str(section.tensor_parallel))
    yield from ("--context-length", str(section.context_length))
    yield from ("--log-level", "error")
    yield from ("--enable-cache-report", "--stream-interval", str(section.stream_tokens))
    yield from _precision(section)
    if section.memory_fraction is not None:
        yield from ("--mem-fraction-static", str(section.memory_fraction))
    if section.chunked_prefill_tokens is not None:
        yield from ("--chunked-prefill-size", str(section.chunked_prefill_tokens))
    if section.max_running is not None:
        yield from ("--max-running-requests", str(section.max_running))
    if section.load_format != "auto":
        yield from ("--load-format", section.load_format)
    yield from _cache(section)
    yield from _scheduling(section)
    if section.metrics:
        yield "--enable-metrics"
    if section.deterministic:
        yield "--enable-deterministic-inference"
    if section.device == "cpu":
        # Without a pool size SGLang takes what it thinks is free: 6 GB for a model of 40 MB.
        pool = pool or section.context_length
        yield from ("--device", "cpu", "--sampling-backend", "pytorch", "--page-size", "1", "--sleep-on-idle")
    if pool is not None:
        yield from ("--max-total-tokens", str(pool))


def _precision(section: SglangSection) -> Iterator[str]:
    if section.device == "cpu" and "fp8" in (section.weights, section.kv):
        field = "KV" if section.kv == "fp8" else "WEIGHTS"
        raise ConfigurationError(
            f"LITERESEARCHER_SGLANG__{field}=fp8 needs a GPU: leave it out with LITERESEARCHER_SGLANG__DEVICE=cpu"
        )
    yield from ("--dtype", "float32" if section.weights == "fp32" else "bfloat16")
    if section.weights == "fp8":
        yield from ("--quantization", "fp8")
    if section.kv == "fp8":
        yield from ("--kv-cache-dtype", "fp8_e4m3")


def _cache(section: SglangSection) -> Iterator[str]:
    if section.session_cache:
        yield "--enable-session-radix-cache"
    if section.hierarchical_cache:
        if section.device == "cpu":
            raise ConfigurationError("LITERESEARCHER_SGLANG__HIERARCHICAL_CACHE needs a GPU, whose pool it spills")
        yield from ("--enable-hierarchical-cache", "--hicache-ratio", str(section.hierarchical_ratio))


def _scheduling(section: SglangSection) -> Iterator[str]:
    if section.priority_scheduling:
        # Priority orders the queue; what runs is not thrown out for it, since its prefill would be paid twice.
        yield from ("--enable-priority-scheduling", "--disable-priority-preemption", "--default-priority-value", "0")
    if not section.overlap_schedule:
        yield "--disable-overlap-schedule"
    if section.speculative == "ngram":
        yield from ("--speculative-algorithm", "NGRAM")
