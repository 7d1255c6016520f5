"""What the doctor says of the tools: carried out in this process, or by a proxy that TOOLS__URL names.

Owns: asking that proxy what it is; no search and no page is paid for. Refuses to know: how findings are shown, the
proxy's own providers (its own doctor knows them).
"""

from __future__ import annotations

from literesearcher.cli.wiring_tools import remote_tools
from literesearcher.settings.model import Settings


async def told_of_tools(settings: Settings) -> str:
    """One sentence. `BoundaryError` where the proxy does not answer, or does not let this process in."""
    remote = remote_tools(settings)
    if remote is None:
        return f"in this process, fidelity {settings.tools.fidelity}"
    try:
        found = await remote.described()
    finally:
        await remote.aclose()
    names = ", ".join(found["tools"])
    prices = ", ".join(f"{name} ${usd:g}" for name, usd in found["prices"].items())
    return f"by the proxy {settings.tools.url}: {names}; fidelity {found['fidelity']}; an item costs at most {prices}"
