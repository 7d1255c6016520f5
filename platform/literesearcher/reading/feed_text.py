"""RSS, RDF, Atom and JSON feeds as a list of entries: title, link, date, author, text.

Refuses to know: how XML is parsed (`xml_text`), charsets, what is worth reading. Above: `data_text`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from literesearcher.reading.html_text import html_to_text
from literesearcher.reading.xml_text import Node

_MARKUP = re.compile(r"<[a-zA-Z/!]|&[a-zA-Z#]")
_FULL = ("encoded", "content", "description", "summary", "subtitle")
"""Names of what holds an entry's text, the fullest first."""


class Entry(NamedTuple):
    """One entry; absent facts are empty."""

    title: str
    link: str
    date: str
    author: str
    text: str


def feed_text(root: Node) -> str | None:
    """The feed as Markdown, None where the root is no feed."""
    if root.name == "feed":
        return _rendered(root, root.children("entry"))
    if root.name not in ("rss", "RDF"):
        return None
    channels = root.children("channel")
    channel = channels[0] if channels else root
    return _rendered(channel, [*channel.children("item"), *(root.children("item") if channel is not root else ())])


def json_feed_text(value: dict[str, Any]) -> str | None:
    """A JSON feed as Markdown, None where it is another object."""
    items = value.get("items")
    if not str(value.get("version", "")).startswith("https://jsonfeed.org/version/") or not isinstance(items, list):
        return None
    entries = []
    for item in items:
        if isinstance(item, dict):
            author = item.get("author")
            body = item.get("content_html") or item.get("content_text") or item.get("summary")
            entries.append(
                Entry(
                    _string(item.get("title")),
                    _string(item.get("url") or item.get("external_url")),
                    _string(item.get("date_published")),
                    _string(author.get("name")) if isinstance(author, dict) else "",
                    _plain(_string(body)),
                )
            )
    return _markdown(_string(value.get("title")), _string(value.get("description")), entries)


def _rendered(head: Node, nodes: Iterable[Node]) -> str:
    entries = [
        Entry(
            _plain(_first(node, "title")),
            _link(node),
            _first(node, "pubDate", "published", "date", "updated", "issued", "modified"),
            _first(node, "creator", "author"),
            _plain(_body(node)),
        )
        for node in nodes
    ]
    return _markdown(_plain(_first(head, "title")), _plain(_first(head, "description", "subtitle")), entries)


def _markdown(title: str, about: str, entries: list[Entry]) -> str:
    parts = [f"# {title}"] if title else []
    if about and about != title:
        parts.append(about)
    for entry in entries:
        name = entry.title or entry.link or "Untitled"
        lines = [f"## [{name}]({entry.link})" if entry.link else f"## {name}"]
        lines += [f"Date: {entry.date}"] if entry.date else []
        lines += [f"By: {entry.author}"] if entry.author else []
        parts.append("\n".join(lines))
        if entry.text and entry.text != entry.title:
            parts.append(entry.text)
    return "\n\n".join(parts)


def _first(node: Node, *names: str) -> str:
    for name in names:
        for child in node.children(name):
            named = child.children("name")  # an Atom person
            text = (named[0] if named else child).text()
            if text:
                return text
    return ""


def _body(node: Node) -> str:
    texts = {name: "".join(part) for name in _FULL for child in node.children(name) if (part := child.strings())}
    return next((texts[name] for name in _FULL if texts.get(name, "").strip()), "")


def _link(node: Node) -> str:
    links = node.children("link")
    for link in links:
        if link.attributes.get("href") and link.attributes.get("rel", "alternate") == "alternate":
            return link.attributes["href"].strip()
    for link in links:
        if link.text():
            return link.text()
    for identity in node.children("guid", "id"):
        if identity.text().startswith(("http://", "https://")):
            return identity.text()
    return ""


def _plain(text: str) -> str:
    """Text that may be markup, as Markdown."""
    text = text.strip()
    if not _MARKUP.search(text):
        return text
    if "<" not in text:
        return html.unescape(text)
    return html_to_text(text)[0] or html.unescape(re.sub(r"<[^<>]*>", " ", text)).strip()


def _string(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
