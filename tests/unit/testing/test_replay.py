"""The replay must be able to say no: each way in which a platform may stray from a recording is in its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from literesearcher.testing.replay.book import Book, Unexpected
from literesearcher.testing.replay.inversion import NOT_EXTRACTED, PageItem, SearchItem, invert, render
from literesearcher.testing.replay.rollouts import Call, load
from literesearcher.testing.replay.served import marker, url_key

ROLLOUTS = Path(__file__).parents[2] / "data" / "rollouts"
Messages = list[tuple[str, str]]


@pytest.fixture
def book() -> Book:
    return Book(load(ROLLOUTS))


def opening(book: Book, question: int = 3) -> Messages:
    return [("system", "rules"), ("user", book.progress[question].case.question)]


def play(book: Book, messages: Messages, turns: int) -> Messages:
    """Faithful turns, calls included."""
    for _ in range(turns):
        served = book.next_turn(messages)
        for item in served.items:
            assert (book.search(item.query) if isinstance(item, SearchItem) else book.page(item.url)) == item
        messages = [*messages, ("assistant", served.whole.text), ("user", served.turn.response or "")]
    return messages


def of(book: Book, question: int = 3) -> dict:
    return book.report()["cases"][book.progress[question].case.id]


def test_a_faithful_replay_is_clean(book: Book) -> None:
    messages = play(book, opening(book), 5)
    assert book.next_turn(messages).turn.call is None
    seen = of(book)
    assert (seen["mismatches"], seen["not_asked"], seen["reordered"], seen["answers"]) == ([], [], 0, 1)
    assert book.report()["unexpected"] == []


@pytest.mark.parametrize(
    ("at", "change", "words"),
    [
        (2, lambda text: text + " ", "turn 1 is not the text that was served"),
        (3, lambda text: text.replace("\n", "\n ", 1), "the tool message of turn 1"),
        (5, lambda text: text.strip() + "\n", "the tool message of turn 2"),
        (0, lambda text: text + "!", "the system message or the question changed"),
    ],
)
def test_a_changed_byte_is_a_mismatch(book: Book, at: int, change, words: str) -> None:
    messages = play(book, opening(book), 2)
    role, text = messages[at]
    messages[at] = (role, change(text))
    book.next_turn(messages)
    assert words in of(book)["mismatches"][0]


def test_a_message_too_many_or_too_few_is_a_mismatch(book: Book) -> None:
    messages = play(book, opening(book), 1)
    book.next_turn([*messages, ("user", "hurry up")])
    assert "5 messages around 1 turns" in of(book)["mismatches"][0]


def test_a_turn_beyond_the_recording_is_refused(book: Book) -> None:
    messages = play(book, opening(book), 5)
    last = book.next_turn(messages)
    with pytest.raises(Unexpected):
        book.next_turn([*messages, ("assistant", last.whole.text), ("user", "go on")])
    assert of(book)["mismatches"]


def test_a_call_that_was_not_made_is_named(book: Book) -> None:
    messages = opening(book)
    served = book.next_turn(messages)
    book.next_turn([*messages, ("assistant", served.whole.text), ("user", served.turn.response or "")])
    assert of(book)["not_asked"] == ["turn 1: Orrin lighthouse spiral stair steps"]


def test_calls_that_were_not_recorded_or_come_out_of_turn(book: Book) -> None:
    for ask in (lambda: book.search("made up"), lambda: book.page("https://made.up/")):
        with pytest.raises(Unexpected):
            ask()
    book.page("https://lights.example.org/orrin")
    assert len(book.report()["unexpected"]) == 3
    play(book, opening(book), 2)
    book.search("Orrin lighthouse spiral stair steps")
    assert "which is over" in of(book)["mismatches"][0]


def test_the_same_call_gets_each_recorded_result_in_its_place(book: Book) -> None:
    messages = play(book, opening(book), 1)
    first = book.search("Orrin lighthouse spiral stair steps")
    messages = play(book, messages, 2)
    second = book.search("Orrin lighthouse spiral stair steps")
    assert len(first.organic or []) == 1
    assert len(second.organic or []) == 2
    # A text that another recording of this very call explains is told apart from a wrong one.
    swapped = [*messages]
    swapped[3], swapped[7] = swapped[7], swapped[3]
    book.next_turn(swapped)
    assert (of(book)["mismatches"], of(book)["reordered"]) == ([], 1)


def test_an_extraction_is_found_by_page_and_goal(book: Book) -> None:
    play(book, opening(book, 1), 4)
    key = url_key("https://ledger.example.org/halvard")
    assert book.extraction(key, f"{marker(1)} goal: first cargo of Halvard Nine").kind == "not_extracted"
    found = book.extraction(key, "goal: List the first entry of the ledger for the ferry Nine.")
    assert found.summary.startswith("Its first entry")
    with pytest.raises(Unexpected):
        book.extraction(key, "goal: something else")


def test_what_does_not_invert_is_refused() -> None:
    call = Call("search", {"query": ["q"]})
    good = render(SearchItem("q", [{"title": "t", "link": "l"}]))
    assert invert(call, f"<tool_response>\n{good}\n</tool_response>")
    for bad in (good.replace("found 1", "found 2"), good + "\n", good.replace("## Web", "##Web"), "nothing"):
        with pytest.raises(ValueError):
            invert(call, f"<tool_response>\n{bad}\n</tool_response>")


def test_several_pages_whose_text_looks_like_a_joint() -> None:
    call = Call("visit", {"url": ["http://a/", "http://b/"], "goal": "g"})
    first = PageItem("http://a/", "g", "read", "x\n\n\n=======\nThe useful information in", "s")
    second = PageItem("http://b/", "g", "not_extracted")
    text = render(first) + "\n\n\n=======\n" + render(second)
    assert invert(call, f"<tool_response>\n{text}\n</tool_response>") == [first, second]
    assert NOT_EXTRACTED[0] in text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://zh.example.org/wiki/青", "https://zh.example.org/wiki/%E9%9D%92"),
        ("https://a.example/x#part", "https://a.example/x"),
        ("https://a.example/(x)?q=a%20b", "https://a.example/%28x%29?q=a%20b"),
    ],
)
def test_a_url_is_one_key_however_it_is_spelled(one: str, other: str) -> None:
    assert url_key(one) == url_key(other)
