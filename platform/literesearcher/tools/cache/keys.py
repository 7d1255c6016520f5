"""Keys of kept results: one hash of several parts, none of which can be read from it or pass for another.

Owns: the hash, the canonical forms of a query and a URL. Refuses to know: what else belongs to a key (who looks up
does).
"""

from __future__ import annotations

import hashlib
import unicodedata

from yarl import URL

from literesearcher.research.tool_options import SourcePolicy


def key_of(*parts: str) -> str:
    """One key of several parts, so that no part can pass for another."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def canonical_query(query: str) -> str:
    """Queries that no search engine tells apart are one: composed characters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", query).split())


def canonical_url(url: str) -> str:
    """URLs that ask a site for the same page are one: no fragment, unless it looks like a route of a script."""
    text = url.strip()
    if not text.lower().startswith(("http://", "https://")):
        return url
    try:
        parsed = URL(text)
        if parsed.fragment and not parsed.raw_fragment.startswith(("!", "/")):
            parsed = parsed.with_fragment(None)
        return str(parsed)
    except ValueError:
        return url


def policy_key(sources: SourcePolicy) -> str:
    """What of a source policy a provider may be told; how many pages of a site were read, it is not."""
    parts = (
        *sorted(sources.allow_domains),
        "-",
        *sorted(sources.deny_domains),
        "-",
        sources.published_after or "",
        sources.published_before or "",
        "-",
        *sorted(sources.languages),
    )
    return "\n".join(parts)
