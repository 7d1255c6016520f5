"""The console's files and the routes that serve them: `/` for browsers, and `/console/NAME` for what the page loads.

Owns: which files there are (read once, so that no request names a path), their types, and the policy that keeps the
page from running or loading anything but them. They hold nothing of anybody, so they want no key. Refuses to know:
jobs; the page asks the public API as any client does. Neighbour: `gateway.border`, which lets a link from elsewhere
open the page.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "pages"
PAGE = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # A text can become an element by no way at all.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Asked again each time, so that page and modules are of one version; mostly answered with 304.
    "Cache-Control": "no-cache",
    "Vary": "Accept",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is sent."""

    content: bytes
    media_type: str
    etag: str


def page_files() -> dict[str, PageFile]:
    """Every file of the console by its name."""
    return {
        path.name: PageFile(content, _TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        for path in sorted(FOLDER.iterdir())
        if path.suffix in _TYPES
        for content in (path.read_bytes(),)
    }


def router() -> APIRouter:
    """The routes; they stand in no API document."""
    files = page_files()
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def console_page(request: Request) -> Response:
        # A client of the API that strays here is told so, as on any path that is none.
        if "text/html" not in request.headers.get("accept", "").lower():
            raise HTTPException(404)
        return _sent(request, files[PAGE])

    @routes.get("/console/{name}")
    async def console_file(request: Request, name: str) -> Response:
        if name == PAGE or name not in files:
            raise HTTPException(404)
        return _sent(request, files[name])

    return routes


def _sent(request: Request, file: PageFile) -> Response:
    headers = {**HEADERS, "ETag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
