"""What a job asks of its tools: which sources it trusts, how it uses the cache, how faithful the texts are.

Owns: plain values, fixed at a job's creation. Refuses to know: who enforces them (`tools.sources.rules`), what text may
be let in (`jobs.intake`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CacheMode = Literal["default", "bypass", "only", "record"]
"""`bypass`: neither read nor written; `only`: offline, a miss is an error that is seen; `record`: fetched anew and kept
long, for `only` later."""
Fidelity = Literal["published", "improved"]
"""`published`: what the model reads is what the published tools gave, to the byte; docs/reference/tools.md lists what
differs in `improved`."""
FIDELITIES: tuple[Fidelity, ...] = ("published", "improved")


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """Which sources a job may use. The empty policy allows everything.

    A domain such as `example.com` means itself and what is under it; one that begins with a dot (`.gov`, `.ac.uk`)
    means every host that ends so. Denied outranks allowed.
    """

    allow_domains: tuple[str, ...] = ()
    deny_domains: tuple[str, ...] = ()
    published_after: str | None = None
    """YYYY-MM-DD, that day included."""
    published_before: str | None = None
    """YYYY-MM-DD, that day included."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes, such as `en`, `zh`."""
    max_pages_per_domain: int | None = None
    """Pages read of one registrable name (`docs.example.com` counts for `example.com`) in the whole job."""


ANY_SOURCE = SourcePolicy()


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """See the module. A journal from before these existed folds with the defaults."""

    cache: CacheMode = "default"
    sources: SourcePolicy = ANY_SOURCE
    fidelity: Fidelity = "published"


DEFAULT_OPTIONS = ToolOptions()
