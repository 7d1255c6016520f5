"""Legacy encodings of the world's pages: told in the header, in the page, wrongly, and not at all."""

from __future__ import annotations

import pytest

from literesearcher.reading import charset_guess
from literesearcher.reading.charset import decode

TEXTS = {
    "gbk": "我们的图书馆每天早上八点开门，晚上十点关门，欢迎大家来看书。",
    "gb18030": "昨天下午，市政府召开会议，讨论新地铁线路的建设问题。",
    "big5hkscs": "昨天下午，市政府召開會議，討論新捷運路線的建設問題。",
    "shift_jis": "図書館は毎朝九時に開きます。日曜日はお休みです。本を三冊まで借りることができます。",
    "euc_jp": "図書館は毎朝九時に開きます。日曜日はお休みです。本を三冊まで借りることができます。",
    "euc_kr": "도서관은 매일 아침 아홉 시에 문을 엽니다. 일요일에는 쉽니다.",
    "cp1251": "Библиотека открывается каждое утро в девять часов. В воскресенье мы не работаем.",
    "koi8_r": "Библиотека открывается каждое утро в девять часов. В воскресенье мы не работаем.",
    "iso8859_5": "Библиотека открывается каждое утро в девять часов. В воскресенье мы не работаем.",
    "cp1253": "Η βιβλιοθήκη ανοίγει κάθε πρωί στις εννέα. Την Κυριακή είναι κλειστά.",
    "cp1255": "הספרייה נפתחת בכל בוקר בשעה תשע. ביום ראשון היא סגורה.",
    "cp1256": "تفتح المكتبة كل صباح في الساعة التاسعة وتغلق يوم الجمعة.",
    "cp874": "ห้องสมุดเปิดทุกวันเวลาเก้าโมงเช้า และปิดวันอาทิตย์",
}
LATIN = {
    "cp1252": "La bibliothèque ouvre à neuf heures ; le dimanche, elle est fermée – « désolée », dit-elle.",
    "iso8859_1": "Die Bücherei öffnet um neun; sonntags schließt sie. Größere Gruppen melden sich früher.",
    "iso8859_15": "El señor Núñez abrió la biblioteca a las nueve; mañana será después.",
    "cp1250": "Knihovna se otevírá každé ráno v devět hodin, v neděli je zavřeno kvůli úklidu.",
    "iso8859_2": "Biblioteka otwiera się o dziewiątej; w niedzielę jest zamknięta, więc przyjdź wcześniej, proszę.",
    "cp1254": "Kütüphane her sabah dokuzda açılır; pazar günü kapalıdır, şimdilik böyle değişmez.",
    "cp1257": "Biblioteka atidaroma kiekvieną rytą devintą valandą; sekmadienį ji uždaryta, ačiū už supratimą.",
}


def page(text: str, encoding: str, meta: str | None = None) -> bytes:
    named = f'<meta http-equiv="Content-Type" content="text/html; charset={meta}">' if meta else ""
    head = f"<html><head>{named}<script charset=utf-8 src=a.js></script><title>x</title></head><body><p>"
    return head.encode() + text.encode(encoding) + b"</p></body></html>"


@pytest.mark.parametrize("encoding", [*TEXTS, *LATIN])
def test_named_in_the_header_or_in_the_page(encoding):
    text = (TEXTS | LATIN)[encoding]
    for body, declared in (
        (text.encode(encoding), encoding),
        (page(text, encoding), encoding.upper()),
        (page(text, encoding, encoding), None),
        (page(text, encoding, encoding), "no-such-charset"),
    ):
        assert text in decode(body, declared)


@pytest.mark.parametrize("encoding", [*TEXTS, *LATIN])
@pytest.mark.parametrize("times", [1, 8])
def test_named_nowhere(encoding, times):
    text = (TEXTS | LATIN)[encoding] * times
    assert decode(text.encode(encoding)) == text
    assert text in decode(page(text, encoding))


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("wrong", ["utf-8", "iso-8859-1", "windows-1252"])
def test_named_wrongly_by_the_server(encoding, wrong):
    text = TEXTS[encoding]
    assert text in decode(page(text, encoding), wrong)
    assert text in decode(page(text, encoding, encoding), wrong)
    assert text in decode(page(text, encoding, wrong), wrong)


@pytest.mark.parametrize("encoding", LATIN)
def test_utf_8_that_it_is_not(encoding):
    text = LATIN[encoding]
    assert text in decode(page(text, encoding, "utf-8"), "utf-8")


def test_a_right_name_is_believed_where_the_guess_would_differ():
    # Few odd bytes, and none of them says which language it is.
    assert decode("Nobel: Przybyłowski, ± 5 µm, ¹²C".encode("iso8859_2", "replace"), "iso-8859-2")[9:] == (
        "zybyłowski, ? 5 ?m, ??C"
    )
    assert decode("50 % — ¼ ½ ¾".encode("cp1252"), "windows-1252") == "50 % — ¼ ½ ¾"
    assert decode(b"caf\xe9", "iso-8859-1") == "café"
    assert decode(b"caf\xe9") == "café"


def test_a_damaged_page_keeps_its_charset():
    text = TEXTS["gbk"] * 20
    body = bytearray(text.encode("gbk"))
    body[200:202] = b"\xff\xff"
    for declared in ("gbk", "utf-8", None):
        assert decode(bytes(body), declared).count("欢迎大家来看书") >= 19
    utf8 = ("naïve café, " * 200).encode() + b"\xff" + ("naïve café, " * 200).encode()
    assert decode(utf8, "utf-8").count("naïve café") == 400


def test_what_looks_like_ascii_and_is_not():
    assert decode("図書館は毎朝".encode("iso2022_jp")) == "図書館は毎朝"
    for encoding in ("utf-16-le", "utf-16-be"):
        assert decode("A library opens at nine.".encode(encoding)) == "A library opens at nine."
    assert decode(b"a color: \x1b[31mred\x1b[0m") == "a color: \x1b[31mred\x1b[0m"
    assert decode(b"one \x00 zero") == "one \x00 zero"


def test_nothing_to_go_by_is_no_guess():
    assert charset_guess.guess(b"") is None
    assert charset_guess.guess(b"plain") is None
    for seed in range(30):
        junk = bytes((seed * 91 + number * number * 57 + 128) % 256 for number in range(2_000))
        found = charset_guess.guess(junk)
        assert found is None or found.fit < charset_guess.SURE


@pytest.mark.timeout(30)
def test_ten_megabytes_are_told_from_a_sample():
    body = TEXTS["gbk"].encode("gbk") * 160_000
    assert decode(body).startswith(TEXTS["gbk"])
