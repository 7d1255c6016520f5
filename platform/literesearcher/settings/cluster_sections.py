"""The sections of a cluster: the SGLang runtime in each replica, and the Ray Serve applications around it.

Owns: names, types, ranges, defaults. Refuses to know: Ray, SGLang. About the model: 36 layers, 8 KV heads of 128, so
147,456 bytes of KV cache a token in bf16.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from literesearcher.settings.sections import Section

HUB_MODEL = r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$"
HUB_REVISION = r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$"
"""A name on the Hugging Face Hub, and a branch, tag or commit there."""


def is_hub_name(model: str, revision: str) -> bool:
    """Whether these can be a name and a revision on the Hub."""
    return re.fullmatch(HUB_MODEL, model) is not None and re.fullmatch(HUB_REVISION, revision) is not None


class SglangSection(Section):
    """The SGLang runtime of one replica (ENGINE__KIND=sglang)."""

    model_path: str | None = Field(
        None, description="Folder of the checkpoint; with MODEL_ID the default is one under `DATA_DIR/models`."
    )
    model_id: str | None = Field(
        None,
        pattern=HUB_MODEL,
        description="Name on the Hugging Face Hub (`simplex-ai-inc/LiteResearcher-4B`): downloaded where the folder is "
        "not there.",
    )
    model_revision: str = Field(
        "main", pattern=HUB_REVISION, description="Branch, tag or commit of MODEL_ID; a commit never changes."
    )
    model_sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-fA-F]{64}$",
        description="SHA-256 over the checkpoint's files (`literesearcher model check` prints it); checked before "
        "every start.",
    )
    served_name: str | None = Field(None, description="Name of the model in answers; default: the checkpoint's.")
    tensor_parallel: int = Field(1, ge=1, le=64, description="GPUs of one replica; must divide the model's heads.")
    context_length: int = Field(131_072, ge=2048, le=1_048_576, description="Tokens of one conversation.")
    memory_fraction: float | None = Field(
        None, gt=0, lt=1, description="Share of a GPU's memory for weights and KV pool; default: SGLang's."
    )
    kv_tokens: int | None = Field(
        None, ge=1024, description="The whole KV pool, in tokens; default: what fits. This is not the context length."
    )
    weights: Literal["bf16", "fp8", "fp32"] = Field("bf16", description="Precision of the weights.")
    kv: Literal["auto", "fp8"] = Field("auto", description="Precision of the KV cache.")
    chunked_prefill_tokens: int | None = Field(None, ge=128, description="Prefill at once; default: SGLang's.")
    hierarchical_cache: bool = Field(False, description="Spill KV cache to host memory.")
    hierarchical_ratio: float = Field(2.0, gt=0, description="Host memory for it, in sizes of the GPU's pool.")
    session_cache: bool = Field(True, description="Keep a waiting job's KV through a flood of others.")
    priority_scheduling: bool = Field(True, description="Turns before page extraction in the runtime's queue.")
    overlap_schedule: bool = Field(
        True, description="As the published figures were made; off: penalties one token earlier."
    )
    speculative: Literal["off", "ngram"] = Field("off", description="Speculative decoding without a draft model.")
    metrics: bool = Field(True, description="The runtime's own metric families.")
    max_running: int | None = Field(None, ge=1, description="Requests decoded at once; default: SGLang's.")
    stream_tokens: int = Field(8, ge=1, le=1000, description="Tokens a streamed piece: each piece costs CPU time.")
    deterministic: bool = Field(
        False, description="The same tokens for the same seed, at some cost: without it SGLang takes no seed."
    )
    load_format: Literal["auto", "dummy"] = Field(
        "auto", description="dummy: random weights in the checkpoint's shape, for measurements."
    )
    health_seconds: float = Field(30.0, gt=0, description="A one-token generation must come within this time.")
    device: Literal["cuda", "cpu"] = Field("cuda", description="cpu is for tests, by the CPU kit.")


class ClusterSection(Section):
    """The Ray Serve applications."""

    address: str | None = Field(
        None, description="Ray cluster to use (`HOST:PORT`, or `auto`); none: a local one is started."
    )
    http_host: str = Field("127.0.0.1", description="Serve's own HTTP port listens there; beyond loopback needs TOKEN.")
    http_port: int = Field(8100, ge=0, le=65535, description="Serve's own HTTP port.")
    token: SecretStr | None = Field(None, description="Service token of Serve's HTTP port.")
    gpus_per_node: int | None = Field(None, ge=0, description="GPUs of a node, for checks before the start.")
    engine_min_replicas: int = Field(1, ge=1, description="Engine replicas at least.")
    engine_max_replicas: int = Field(1, ge=1, description="Engine replicas at most.")
    orchestrator_min_replicas: int = Field(1, ge=1, description="Orchestrator replicas at least.")
    orchestrator_max_replicas: int = Field(
        4, ge=1, description="Orchestrator replicas at most; each runs RESEARCH__MAX_CONCURRENT_JOBS at once."
    )
    tools_min_replicas: int = Field(1, ge=1, description="Tool proxy replicas at least.")
    tools_max_replicas: int = Field(4, ge=1, description="Tool proxy replicas at most.")
    drain_seconds: float = Field(660.0, gt=0, description="A stopping replica lets its turns finish for so long.")
    start_seconds: float = Field(
        120.0, gt=0, description="How long a new engine replica takes; scaling looks so far ahead."
    )
    routing: dict[str, float] = Field(
        default_factory=dict,
        description="Parameters of the router, as a JSON object; they change without replacing a replica.",
    )
    engine_surge_percent: int | None = Field(
        None,
        ge=0,
        le=100,
        description="Share of the engine replicas that a redeploy starts beside the old ones before those stop; needs "
        "as many free GPUs. 0: the old ones stop first. Default: 0 for sglang, else 100.",
    )
    engine_python: Path | None = Field(
        None, description="Interpreter of engine replicas, where SGLang lives in an environment of its own."
    )
