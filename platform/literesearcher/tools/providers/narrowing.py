"""A source policy as search operators, for engines without fields for it: `(site:a.org OR site:b.org) -site:c.org`.

Owns: the spelling and how much of a policy fits into a query. Refuses to know: what is let through in the end
(`tools.sources.rules` checks every result), so what does not fit is left out rather than cut in half.
"""

from __future__ import annotations

from literesearcher.research.tool_options import SourcePolicy

MAX_OPERATORS = 16
"""Google reads 32 words of a query; half of them stay the query's own."""


def with_sites(query: str, sources: SourcePolicy) -> str:
    """The query with `site:` operators; as it is where the policy names no domains.

    A list of allowed domains narrows as a whole or not at all: half of it would lose what the other half allows.
    """
    words = [query]
    left = MAX_OPERATORS
    allowed = sources.allow_domains
    if allowed and len(allowed) <= left:
        sites = " OR ".join(f"site:{domain}" for domain in allowed)
        words.append(f"({sites})" if len(allowed) > 1 else sites)
        left -= len(allowed)
    words += [f"-site:{domain}" for domain in sources.deny_domains[:left]]
    return " ".join(words)
