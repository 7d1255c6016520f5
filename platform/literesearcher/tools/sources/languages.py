"""Whether a text may be in one of the languages that a job allows. Pure.

Owns: which scripts a language is written in, and what outranks what: the script that is seen outranks the language
that is declared, which pages often get wrong. Refuses to know: policies, pages. Above: `tools.sources.rules`. Below:
`reading.scripts`. A script tells Chinese from English, not English from French: where it cannot tell, the text passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from literesearcher.reading.scripts import script_counts

_SAME = {
    "iw": "he", "in": "id", "ji": "yi", "nb": "no", "nn": "no", "cmn": "zh", "yue": "zh", "wuu": "zh",
    "cn": "zh", "jp": "ja", "kr": "ko",
}  # fmt: skip
"""Older codes, and country codes that pages take for codes of languages."""
_CYRILLIC = frozenset({"cyrillic"})
_ARABIC = frozenset({"arabic"})
_DEVANAGARI = frozenset({"devanagari"})
# fmt: off
_WRITTEN: dict[str, frozenset[str]] = {
    "zh": frozenset({"han", "bopomofo"}), "ja": frozenset({"kana"}), "ko": frozenset({"hangul"}),
    **dict.fromkeys(("ru", "uk", "be", "bg", "mk", "ky", "tg", "tt", "ba", "ce", "cv", "os"), _CYRILLIC),
    **dict.fromkeys(("sr", "kk", "uz", "az", "mn", "bs"), frozenset({"cyrillic", "latin", "mongolian"})),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "ug", "sd"), _ARABIC), "ku": frozenset({"arabic", "latin"}),
    **dict.fromkeys(("hi", "mr", "ne", "sa"), _DEVANAGARI), "pa": frozenset({"gurmukhi", "arabic"}),
    **dict.fromkeys(("he", "yi"), frozenset({"hebrew"})), "el": frozenset({"greek"}), "th": frozenset({"thai"}),
    **dict.fromkeys(("bn", "as"), frozenset({"bengali"})), "ta": frozenset({"tamil"}), "te": frozenset({"telugu"}),
    "kn": frozenset({"kannada"}), "ml": frozenset({"malayalam"}), "gu": frozenset({"gujarati"}),
    "or": frozenset({"oriya"}), "si": frozenset({"sinhala"}), "lo": frozenset({"lao"}), "km": frozenset({"khmer"}),
    "my": frozenset({"myanmar"}), "ka": frozenset({"georgian"}), "hy": frozenset({"armenian"}),
    **dict.fromkeys(("am", "ti"), frozenset({"ethiopic"})), **dict.fromkeys(("bo", "dz"), frozenset({"tibetan"})),
}
# fmt: on
_LATIN = frozenset({"latin"})
_FEW_LETTERS = 20
_SHORT_LETTERS = 200
"""Japanese of so few letters may be all kanji, as titles are."""
_DENSE = frozenset({"han", "kana", "hangul"})
_DENSE_WEIGHT = 3
"""Letters of an alphabet that say as much as one of these."""
_MAJORITY = 0.6
_KANA_SHARE = 0.05


def code_of(language: str) -> str:
    """The code that is compared: `zh-CN` and `zh_TW` are `zh`."""
    first = language.strip().lower().replace("_", "-").partition("-")[0]
    return _SAME.get(first, first)


def may_be_in(languages: Iterable[str], text: str, declared: str | None = None) -> bool:
    """May the text be in one of these languages? `declared`: what the page says of itself."""
    allowed = {code_of(language) for language in languages}
    seen = _script(text)
    if seen is not None and not any(_writes(language, seen) for language in allowed):
        return False
    said = code_of(declared) if declared else ""
    if not said or said in allowed:
        return True
    # Declared to be in another language: believed, unless the text shows that it is not.
    return seen is not None and not _writes(said, seen)


def _writes(language: str, scripts: frozenset[str]) -> bool:
    return not scripts.isdisjoint(_WRITTEN.get(language, _LATIN))


def _script(text: str) -> frozenset[str] | None:
    """The script that most of the text is in (two where short text cannot tell), None where there is too little."""
    counts = script_counts(text)
    letters = sum(counts.values())
    kana = counts.pop("hiragana", 0) + counts.pop("katakana", 0)
    han = counts.pop("han", 0)
    if kana and kana > _KANA_SHARE * (kana + han):
        counts["kana"] = kana + han
    elif han:
        counts["han"] = han + kana
    weights = Counter({script: n * (_DENSE_WEIGHT if script in _DENSE else 1) for script, n in counts.items()})
    total = sum(weights.values())
    if total < _FEW_LETTERS:
        return None
    script, weight = weights.most_common(1)[0]
    if weight < _MAJORITY * total:
        return None
    return frozenset({"han", "kana"}) if script == "han" and letters < _SHORT_LETTERS else frozenset({script})
