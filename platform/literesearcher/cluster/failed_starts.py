"""What Serve says of a replica that could not start, as the sentence of the error that its constructor raised.

Owns: finding it among Serve's own words and the traceback that Ray sends along. Refuses to know: Serve's states, who is
told. Pure.
"""

from __future__ import annotations

import re

_OURS = re.compile(r"^(?:literesearcher\.errors\.)(\w+): (.+)", re.MULTILINE)
_RAISED = re.compile(r"^(?:[a-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Exit|Interrupt|Failure)): (.+)", re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last)"
_LONGEST = 480
_MISCONFIGURED = "ConfigurationError"


def sentence(message: str) -> str:
    """The error's own words where the message holds a traceback, else the message, on one line."""
    ours = _OURS.findall(message)
    if ours:
        return _line(ours[-1][1])
    if _TRACEBACK in message or "ray::" in message:
        raised = _RAISED.findall(message)
        if raised:
            return _line(f"{raised[-1][0]}: {raised[-1][1]}")
    return _line(message)


def refusal(message: str) -> str:
    """The sentence of a ConfigurationError, which no other try will change; "" where it is none."""
    ours = _OURS.findall(message)
    return _line(ours[-1][1]) if ours and ours[-1][0] == _MISCONFIGURED else ""


def _line(text: str) -> str:
    whole = " ".join(text.split())
    return whole if len(whole) <= _LONGEST else whole[: _LONGEST - 4] + " ..."
