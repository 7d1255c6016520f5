"""In which scripts a text is written. Pure, and counted on a sample: a page's script shows within its first letters.

Refuses to know: languages' names, policies. Above: `tools.sources.languages` (a page's language),
`tools.sources.domains` (labels that mix scripts).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

SAMPLE_LETTERS = 4_000
_SCANNED = 20_000
_NAMES = {"CJK": "han", "KATAKANA-HIRAGANA": "katakana", "IDEOGRAPHIC": "han", "HALFWIDTH": "", "FULLWIDTH": ""}
"""First words of Unicode names that are no script's name; `unicodedata` holds no script property."""


@lru_cache(maxsize=4096)
def script_of(letter: str) -> str:
    """The letter's script in lower case (`latin`, `han`, `cyrillic`, ...); "" for what belongs to none."""
    if letter.isascii():
        return "latin" if letter.isalpha() else ""
    if unicodedata.category(letter)[0] != "L":
        return ""
    words = unicodedata.name(unicodedata.normalize("NFKC", letter)[0], "").split(" ", 1)
    first = _NAMES.get(words[0], words[0].lower())
    return first if first not in ("modifier", "micro", "ohm", "script", "mathematical") else ""


def script_counts(text: str) -> Counter[str]:
    """Letters by script in the text's beginning (20,000 characters or 4,000 letters, whichever ends first)."""
    counts: Counter[str] = Counter()
    letters = 0
    for character in text[:_SCANNED]:
        script = script_of(character)
        if script:
            counts[script] += 1
            letters += 1
            if letters >= SAMPLE_LETTERS:
                break
    return counts
