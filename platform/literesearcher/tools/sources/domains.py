"""Host names as policies compare them: one spelling, who registered them, whether they deceive the eye. Pure.

Refuses to know: DNS, which names are public (`tools.perimeter.addresses`), policies. Above: `tools.sources.rules`,
`tools.perimeter.intranet`, `tools.perimeter.guard`. yarl spells names, as it does for the guard, so that a rule and a
fetch mean one host.
"""

from __future__ import annotations

from yarl import URL

from literesearcher.reading.scripts import script_counts

_ANYWHERE = frozenset({"ac", "co", "com", "edu", "gov", "mil", "net", "org"})
"""Under a country's top-level domain these are not somebody's name."""
# fmt: off
_SECOND_LEVEL: dict[str, frozenset[str]] = {
    "ar": frozenset({"gob", "int", "tur"}),
    "at": frozenset({"gv", "or"}),
    "au": frozenset({"asn", "id"}),
    "br": frozenset({"art", "blog", "eco", "eng", "ind", "inf", "jus", "leg", "mp", "tv"}),
    "cl": frozenset({"gob"}),
    "cn": frozenset({"bj", "sh", "tj", "cq", "he", "sx", "nm", "ln", "jl", "hl", "js", "zj", "ah", "fj", "jx", "sd",
                     "ha", "hb", "hn", "gd", "gx", "hi", "sc", "gz", "yn", "xz", "sn", "gs", "qh", "nx", "xj"}),
    "es": frozenset({"gob", "nom"}),
    "fr": frozenset({"asso", "gouv", "nom"}),
    "hk": frozenset({"idv"}),
    "id": frozenset({"go", "or", "sch", "web", "desa"}),
    "il": frozenset({"k12", "muni", "idf"}),
    "in": frozenset({"firm", "gen", "ind", "nic", "res"}),
    "jp": frozenset({"ad", "ed", "go", "gr", "lg", "ne", "or"}),
    "ke": frozenset({"go", "ne", "or", "sc"}),
    "kr": frozenset({"go", "ne", "or", "pe", "re", "hs", "ms", "es", "sc", "kg"}),
    "mx": frozenset({"gob"}),
    "nz": frozenset({"cri", "geek", "gen", "govt", "health", "iwi", "kiwi", "maori", "school"}),
    "pe": frozenset({"gob", "nom"}),
    "ru": frozenset({"msk", "spb"}),
    "th": frozenset({"go", "in", "mi", "or"}),
    "tr": frozenset({"bel", "bbs", "gen", "k12", "pol", "web"}),
    "tw": frozenset({"idv", "game", "club"}),
    "tz": frozenset({"go", "ne", "or", "sc"}),
    "ua": frozenset({"in", "kiev", "kyiv", "lviv"}),
    "ug": frozenset({"go", "ne", "or", "sc"}),
    "uk": frozenset({"ltd", "me", "nhs", "plc", "police", "sch"}),
    "za": frozenset({"law", "nom", "school", "web"}),
}
_SHARED = frozenset({
    "blogspot.com", "wordpress.com", "tumblr.com", "weebly.com", "wixsite.com", "livejournal.com", "hatenablog.com",
    "github.io", "gitlab.io", "readthedocs.io", "netlify.app", "vercel.app", "pages.dev", "workers.dev", "web.app",
    "firebaseapp.com", "herokuapp.com", "appspot.com", "azurewebsites.net", "cloudfront.net", "onrender.com",
    "fly.dev", "glitch.me", "repl.co", "streamlit.app", "hf.space", "substack.com", "eu.org", "uk.com", "us.com",
    "co.com", "de.com", "cn.com",
})
# fmt: on
"""Names under which everybody may have one, so that each name beneath is somebody's own."""
_EAST_ASIAN = (
    frozenset({"latin", "han", "hiragana", "katakana"}),
    frozenset({"latin", "han", "bopomofo"}),
    frozenset({"latin", "han", "hangul"}),
)
"""Mixtures that are ordinary writing (Unicode's `highly restrictive` profile, which browsers use)."""


def host_name(text: str) -> str:
    """The name in its one spelling: lower case, punycode, no dot at the end. ValueError for what cannot be a host."""
    host = URL.build(scheme="http", host=text.strip()).raw_host or ""
    host = host.lower().rstrip(".")
    if not host or any(character in host for character in "%/\\@ "):
        raise ValueError("no host name")
    return host


def host_of(url: str) -> str | None:
    """The host of an http or https URL in its one spelling, None where there is none."""
    try:
        parsed = URL(url.strip())
        return host_name(parsed.raw_host or "") if parsed.scheme in ("http", "https") else None
    except ValueError:
        return None


def is_public_suffix(name: str) -> bool:
    """Is this a name beneath which names are registered (`com`, `co.uk`, `github.io`)?"""
    labels = name.split(".")
    if len(labels) == 1:
        return True
    if len(labels) != 2:
        return False
    second, top = labels
    return name in _SHARED or (len(top) == 2 and (second in _ANYWHERE or second in _SECOND_LEVEL.get(top, ())))


def registrable(host: str) -> str:
    """The name that somebody registered: `docs.example.co.uk` is `example.co.uk`. An address is itself.

    By a short list of public suffixes, not the whole of it: a suffix missing here counts its names as one.
    """
    name = host.lower().rstrip(".")
    labels = name.split(".")
    if ":" in name or labels[-1].isdigit() or len(labels) < 3:
        return name
    return ".".join(labels[-3:]) if is_public_suffix(".".join(labels[-2:])) else ".".join(labels[-2:])


def deceives(host: str) -> bool:
    """Does a label of this host, as written, mix scripts that no language mixes (a Cyrillic letter among Latin ones)?

    Browsers show such a name in punycode so that nobody takes it for another. The model reads what it wrote, so here
    it is refused; spelled in punycode it deceives nobody.
    """
    if host.isascii():
        return False
    for label in host.replace("。", ".").replace("．", ".").replace("｡", ".").split("."):
        scripts = frozenset(script_counts(label))
        if len(scripts) > 1 and not any(scripts <= mixture for mixture in _EAST_ASIAN):
            return True
    return False
