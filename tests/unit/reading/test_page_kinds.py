"""Walls and pages told apart, those that talk about walls above all."""

from __future__ import annotations

import pytest

from literesearcher.reading.html_text import html_to_text
from literesearcher.reading.page_kinds import kind_of_page

FILLER = "The committee met on Tuesday and heard what the harbour master had to say about the new pier. "


def kind_of_html(source: str) -> str:
    text, title = html_to_text(source)
    return kind_of_page(text, title, source=source)


CAPTCHAS = [
    "<title>Attention Required! | Cloudflare</title><h1>Sorry, you have been blocked</h1><p>You are unable to access "
    "example.com</p><p>Why have I been blocked? This website is using a security service to protect itself from online "
    "attacks.</p><p>Cloudflare Ray ID: 8a1b2c</p><p>Performance &amp; security by Cloudflare</p>"
    + "<p>words </p>"
    * 80,
    "<title>example.com</title><script>var dd={'rt':'c'}</script>"
    "<script src='https://ct.captcha-delivery.com/c.js'></script><p>Please enable JS and disable any ad blocker</p>",
    "<title>Access to this page has been denied</title><p>Press &amp; Hold to confirm you are a human (and not a bot)."
    "</p><div id=px-captcha></div><p>Reference ID #ab-cd</p>",
    "<title>https://www.google.com/search?q=x</title><p>Our systems have detected unusual traffic from your computer "
    "network. This page checks to see if it's really you sending the requests, and not a robot.</p>"
    "<form action='/sorry/index'></form>",
    "<title>Robot Check</title><p>Enter the characters you see below. Sorry, we just need to make sure you're not a "
    "robot. Type the characters you see in this image:</p>",
    "<title>Access Denied</title><h1>Access Denied</h1>You don't have permission to access &quot;http://a/&quot; on "
    "this server.<p>Reference #18.2d3e <a href='https://errors.edgesuite.net/18.2d3e'>x</a></p>",
    "<title>百度安全验证</title><p>请完成安全验证后继续访问</p><script src=https://wappass.baidu.com/a.js></script>",
    "<title>Pardon Our Interruption</title><p>As you were browsing, something about your browser made us think you "
    "were a bot.</p>",
]


@pytest.mark.parametrize("source", CAPTCHAS)
def test_captchas_and_bot_walls(source):
    assert kind_of_html(f"<html><body>{source}</body></html>") == "captcha"


@pytest.mark.parametrize(
    "source",
    [
        # A page that loads a bot protection's sensor, or a captcha for its comment form.
        f"<title>Pier</title><p>{FILLER * 4}</p><script src='https://js.datadome.co/tags.js'></script>",
        f"<title>Pier</title><p>{FILLER * 4}</p><script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script>"
        "<script src='https://www.google.com/recaptcha/api.js'></script>",
        # About captchas, in a few words more than a wall has.
        f"<title>CAPTCHA</title><p>A CAPTCHA asks: please verify you are a human. {FILLER * 6}</p>",
        "<title>How do I get past 'checking your browser before accessing'?</title><p>"
        + "I get the text checking your browser before accessing on every visit, verify you are human by completing "
        "the action, and Cloudflare Ray ID, and I want to know what my proxy does. " * 16 + "</p>",
        f"<title>Access Denied: a history of the archive</title><p>{FILLER * 8}</p>",
        f"<title>Cookies</title><h1>Cookie policy</h1><p>We use cookies. You may accept all or reject all.</p>"
        f"<p>{FILLER * 8}</p>",
        f"<title>Pier</title><p>{FILLER * 12}</p><div>We value your privacy. We and our partners store and/or access "
        "information on a device. <button>Accept all</button></div>",
        f"<title>Pier</title><noscript>Please enable JavaScript</noscript><script>x()</script><p>{FILLER * 8}</p>",
        f"<title>On paywalls</title><p>Many a site says: subscribe to continue reading. {FILLER * 30}</p>",
        f"<title>Pier</title><p>{FILLER * 20}</p><p>Already a subscriber? Sign in. Subscribe now, cancel anytime.</p>",
        f"<title>Pier</title><script>{{'isAccessibleForFree': false}}</script><p>{FILLER * 80}</p>",
        "<title>Pier</title><p>Short, but a page.</p>",
        "<title>Moved</title><p>The document has moved.</p><script>track()</script>",
        "",
    ],
)
def test_pages_that_look_like_walls_are_pages(source):
    assert kind_of_html(f"<html><body>{source}</body></html>") == "page"


@pytest.mark.parametrize(
    "source",
    [
        "<body><div id='root'></div><script src=/static/js/main.js></script></body>",
        "<body><app-root></app-root><script type=module src=main.js></script></body>",
        '<body><div id="__next"><div class="spinner">Loading…</div></div><script src=/n.js></script></body>',
        "<body><noscript><strong>We're sorry but shop doesn't work properly without JavaScript enabled.</strong>"
        "</noscript><div></div><script src=a.js></script></body>",
    ],
)
def test_apps_without_text(source):
    assert kind_of_html(f"<html><head><title>Shop</title></head>{source}</html>") == "script_only"


def test_a_server_rendered_app_is_a_page():
    source = f"<html><body><div id='__next'><p>{FILLER * 6}</p></div><script src=/n.js></script></body></html>"
    assert kind_of_html(source) == "page"


@pytest.mark.parametrize(
    "said",
    [
        "This article is for subscribers only. Already a subscriber? Sign in.",
        "Cet article est réservé aux abonnés. Déjà abonné ? Se connecter",
        "この記事は有料会員限定です。残り 1,200文字",
        "You’ve reached your limit of free articles. Subscribe now for $1 for 6 months.",
    ],
)
def test_paywalls(said):
    assert kind_of_page(f"# Pier\n\n{FILLER * 8}\n\n{said}", "Pier") == "paywall"
    assert kind_of_page(f"# Pier\n\n{FILLER * 100}\n\n{said}", "Pier") == "page", "a long text is there to be read"


def test_links_do_not_make_a_wall_long():
    links = "".join(f"[{n}](https://a.example/{'x' * 200}/{n})\n" for n in range(40))
    assert kind_of_page(f"Please verify you are a human\n\nCloudflare Ray ID: 1\n{links}", "Just a moment...") == (
        "captcha"
    )


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", ["](" * 9_000, "[a](" * 5_000, "Markdown Content:\n" * 1_000, "\n" * 19_000])
def test_hostile_texts_take_no_time(text):
    kind_of_page(text, text, source="<script " * 60_000)
