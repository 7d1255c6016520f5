"""What stands in front of a page, told from its text and its source: nothing, or a paywall, consent, a captcha, a script.

Owns: the table of signs and how many of them it takes. Conservative: a wall is short, so a long text is always a page,
and below that it takes signs that agree. Refuses to know: where a page came from, what becomes of a wall.
"""

from __future__ import annotations

import re
from typing import Literal

PageKind = Literal["page", "paywall", "consent", "captcha", "script_only"]
"""What a fetched body is: a page, or what stands in front of one."""

_LONG = 20_000
"""So long is no wall, and nobody looks further."""
_SOURCE_CHARACTERS = 400_000
_BRIEF = 500
"""A text under this length is not worth reading anyway: there one sign is enough."""
_CAPTCHA_CHARACTERS, _CONSENT_CHARACTERS, _SCRIPT_LETTERS = 2_000, 4_000, 200
_CONSENT_REST = 300
"""Letters that a consent page may have besides what it says of consent."""
_LOCKED_ALONE, _LOCKED_AND_SAID, _SAID_TWICE, _SAID_ONCE = 2_000, 6_000, 4_000, 1_500

_CAPTCHA_SOURCE = (
    # Marks that bot protections put on their challenge pages and, unlike their sensors, on no other.
    "_cf_chl_opt",
    "cf-challenge-running",
    "cf-error-details",
    "captcha-delivery.com/c.js",
    "geo.captcha-delivery.com",
    "px-captcha",
    "window._pxappid",
    "_incapsula_resource",
    "gokuprops",
    "sec-if-cpt-container",
    "errors.edgesuite.net",
    "sucuri_cloudproxy_js",
    "/.within.website/x/cmd/anubis",
    "window.kpsdk",
    "/sorry/index",
    "smartcaptcha.yandexcloud.net",
    "wappass.baidu.com",
)
_CAPTCHA_WIDGETS = (
    "google.com/recaptcha",
    "recaptcha.net/recaptcha",
    "hcaptcha.com/1/api.js",
    "challenges.cloudflare.com/turnstile",
    "geetest",
)
"""On ordinary forms too: one of these is half a sign."""
_CAPTCHA_TITLES = (
    "just a moment",
    "attention required! | cloudflare",
    "access to this page has been denied",
    "pardon our interruption",
    "robot check",
    "are you a robot",
    "are you a human",
    "human verification",
    "security check",
    "security checkpoint",
    "access denied",
    "ddos-guard",
    "making sure you're not a bot",
    "one moment, please",
    "verify you are human",
    "bot verification",
    "安全验证",
    "百度安全验证",
    "人机验证",
    "вы не робот",
)
_CAPTCHA_TEXT = (
    "enable javascript and cookies to continue",
    "checking your browser before accessing",
    "checking if the site connection is secure",
    "needs to review the security of your connection",
    "performing security verification",
    "verify you are human by completing",
    "verifying you are human",
    "please verify you are a human",
    "please verify that you are human",
    "confirm you are a human",
    "confirm that you are not a robot",
    "let us know you're not a robot",
    "make sure you're not a robot",
    "verify that you're not a robot",
    "press & hold to confirm",
    "press and hold to confirm",
    "unusual traffic from your computer network",
    "unusual activity from your computer network",
    "automated access to this page was denied",
    "something about your browser made us think you were a bot",
    "complete the security check to access",
    "please complete the captcha",
    "please solve this captcha",
    "solve the captcha below",
    "type the characters you see in this image",
    "enter the characters you see below",
    "sorry, you have been blocked",
    "performance & security by cloudflare",
    "cloudflare ray id",
    "this page maybe requiring captcha",
    "you don't have permission to access",
    "incapsula incident id",
    "please enable js and disable any ad blocker",
    "完成验证后即可继续访问",
    "请完成安全验证",
    "请输入验证码",
    "拖动滑块",
    "подтвердите, что запросы отправляли вы, а не робот",
)
_CONSENT_STATEMENTS = (
    "before you continue to",
    "we value your privacy",
    "your privacy choices",
    "we and our partners",
    "our partners store and/or access information",
    "store and/or access information on a device",
    "we use cookies",
    "uses cookies and data",
    "use cookies and data to",
    "datenschutz",
    "wir und unsere partner",
    "mit werbung weiterlesen",
    "nous et nos partenaires",
    "nosotros y nuestros socios",
    "noi e i nostri partner",
    "wij en onze partners",
)
_CONSENT_BUTTONS = (
    "accept all",
    "reject all",
    "accept and continue",
    "i agree",
    "agree and continue",
    "manage options",
    "manage settings",
    "manage preferences",
    "alle akzeptieren",
    "alles akzeptieren",
    "alle ablehnen",
    "akzeptieren und weiter",
    "zustimmen",
    "tout accepter",
    "tout refuser",
    "aceptar todo",
    "accetta tutto",
    "alles accepteren",
)
_CONSENT_WORDS = re.compile(
    r"cookie|consent|privacy|partner|personali[sz]|vendor|accept|reject|agree|manage|preferences|before you continue|"
    r"legitimate interest|datenschutz|werbung|zustimm|akzeptier|ablehn|accepter|refuser|advertis|\bads\b|sign in|terms|"
    r"language",
    re.IGNORECASE,
)
_SCRIPT_TEXT = (
    "you need to enable javascript to run this app",
    "enable javascript to run this app",
    "javascript is required",
    "javascript is disabled",
    "javascript is not available",
    "javascript is not enabled",
    "requires javascript",
    "please enable javascript",
    "please turn on javascript",
    "doesn't work properly without javascript",
    "without javascript enabled",
    "activate javascript",
    "javascript muss aktiviert",
    "javascript aktivieren",
    "activer javascript",
    "请启用javascript",
    "请开启javascript",
    "javascriptを有効",
)
_SHELL = re.compile(
    r"""<(?:div|main|section)[^<>]{0,200}\bid\s*=\s*["']?(?:root|app|__next|__nuxt|___gatsby|app-root|main-app|svelte)"""
    r"""\b|<app-root\b|\bng-app\b|\bdata-reactroot\b|\bng-version\b""",
    re.IGNORECASE,
)
_SCRIPT_TAG = re.compile(r"<script\b", re.IGNORECASE)
_LOCKED = re.compile(
    r"""["']isAccessibleForFree["']\s*:\s*["']?(?:false|no)\b|"""
    r"""article:content_tier["'][^<>]{0,40}content\s*=\s*["']?locked""",
    re.IGNORECASE,
)
_PAYWALL_TEXT = (
    "subscribe to continue reading",
    "subscribe to keep reading",
    "subscribe to read the full",
    "subscribe to unlock",
    "sign in to continue reading",
    "log in to continue reading",
    "create a free account to continue reading",
    "register to continue reading",
    "to continue reading this article",
    "to read the full story",
    "to read the rest of this article",
    "this article is for subscribers only",
    "this content is for subscribers",
    "this post is for paid subscribers",
    "this post is for paying subscribers",
    "available to subscribers only",
    "exclusive to subscribers",
    "subscriber-only content",
    "reserved for subscribers",
    "reserved for our subscribers",
    "you have reached your limit of free articles",
    "you've reached your limit of free articles",
    "you have reached your article limit",
    "you've read your last free article",
    "unlock this article",
    "become a member to read",
    "member-only story",
    "purchase access to this article",
    "this is a preview of subscription content",
    "réservé aux abonnés",
    "réservée aux abonnés",
    "il vous reste",
    "jetzt weiterlesen mit",
    "diesen artikel weiterlesen mit",
    "nur für abonnenten",
    "exklusiv für abonnenten",
    "exclusivo para suscriptores",
    "solo para suscriptores",
    "contenuto riservato agli abbonati",
    "この記事は有料会員限定",
    "この記事は会員限定",
    "付费内容",
    "付费阅读",
    "订阅后阅读全文",
    "материал доступен только по подписке",
)
_PAYWALL_OFFERS = (
    "already a subscriber",
    "already have a subscription",
    "start your free trial",
    "subscribe now",
    "cancel anytime",
    "cancel any time",
    "$1 for",
    "€1 for",
    "£1 for",
    "per month",
    "subscription options",
    "déjà abonné",
    "bereits abonnent",
    "jetzt testen",
    "ya soy suscriptor",
)
_LINK_TARGET = re.compile(r"\]\([^()\s]{0,2000}\)")
_READER_HEAD = re.compile(r"\A.{0,4000}?^Markdown Content:\s*$", re.DOTALL | re.MULTILINE)
"""Jina Reader's own lines before the page's text."""


def kind_of_page(text: str, title: str | None = None, *, source: str = "") -> PageKind:
    """The kind, by the page's text (Markdown) and, where it is at hand, the HTML it came from."""
    if len(text) > _LONG:
        return "page"
    said = _LINK_TARGET.sub("]", text).strip()
    low = said.lower().replace("\u2019", "'").replace("\u00a0", " ")
    head = (title or "").strip().lower().replace("\u2019", "'")
    body = _READER_HEAD.sub("", low, count=1).strip()
    markup = source[:_SOURCE_CHARACTERS].lower()
    if _is_captcha(body, low, head, markup):
        return "captcha"
    if _is_consent(body, head):
        return "consent"
    if _is_script_only(body, markup):
        return "script_only"
    if _is_paywall(body, source[:_SOURCE_CHARACTERS]):
        return "paywall"
    return "page"


def _is_captcha(body: str, whole: str, title: str, markup: str) -> bool:
    if len(body) > _CAPTCHA_CHARACTERS:
        return False
    signs = 2.0 * _count(markup, _CAPTCHA_SOURCE) + 0.5 * _count(markup, _CAPTCHA_WIDGETS)
    signs += _count(whole, _CAPTCHA_TEXT) + min(1, _count(title, _CAPTCHA_TITLES))
    return signs >= (1 if len(body) < _BRIEF else 2)


def _is_consent(body: str, title: str) -> bool:
    if len(body) > _CONSENT_CHARACTERS:
        return False
    if not _count(f"{title}\n{body}", _CONSENT_STATEMENTS) or not _count(body, _CONSENT_BUTTONS):
        return False
    rest = "".join(line for line in body.splitlines() if not _CONSENT_WORDS.search(line))
    return sum(map(str.isalnum, rest)) <= _CONSENT_REST


def _is_script_only(body: str, markup: str) -> bool:
    asked = _count(body, _SCRIPT_TEXT)
    if sum(map(str.isalnum, body)) > _SCRIPT_LETTERS:
        # A reader's text of such a page: what the app says to those without scripts, and little else.
        return bool(asked) and len(body) < _BRIEF
    if asked:
        return True
    if not _SCRIPT_TAG.search(markup):
        return False
    return bool(_SHELL.search(markup)) or bool("<noscript" in markup and _count(markup, _SCRIPT_TEXT))


def _is_paywall(body: str, source: str) -> bool:
    size = len(body)
    if size > _LOCKED_AND_SAID:
        return False
    said, offers = _count(body, _PAYWALL_TEXT), _count(body, _PAYWALL_OFFERS)
    if _LOCKED.search(source) and size <= (_LOCKED_AND_SAID if said else _LOCKED_ALONE):
        return True
    if not said:
        return False
    return size <= (_SAID_TWICE if said + offers > 1 else _SAID_ONCE)


def _count(text: str, signs: tuple[str, ...]) -> int:
    return sum(sign in text for sign in signs) if text else 0
