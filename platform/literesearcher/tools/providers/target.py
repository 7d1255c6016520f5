"""A checked target as remote readers are given it: one ASCII spelling, no fragment, escapes left as they were.

Owns: the spelling. Refuses to know: whether the target may be fetched (`tools.perimeter.guard`), and who reads it.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from yarl import URL

_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SAFE = "%!#$&'()*+,/:;=?@[]~"


def spelled(url: str, checked: URL) -> str:
    """The URL as the model wrote it, percent-encoded where a request line must be, without its fragment.

    A fragment never reaches a server, and the readers take one for a part of the path. A host that is not ASCII is
    spelled as the guard read it (`checked`).
    """
    text = url.strip().split("#", 1)[0]
    scheme, _, rest = text.partition("://")
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    if not rest[:cut].isascii():
        text = f"{scheme}://{checked.raw_authority}{rest[cut:]}"
    return quote(_BARE_PERCENT.sub("%25", text), safe=_SAFE)
