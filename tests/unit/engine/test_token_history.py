"""A conversation as token ids: appended to and never changed, and no text of a page is ever a control token."""

from __future__ import annotations

import base64
import os
import struct
import unicodedata
from pathlib import Path

import pytest
import tokenizers

from literesearcher.engine.token_history import TokenHistory
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import ConfigurationError
from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.research.messages import Message
from literesearcher.research.opening import tool_message
from literesearcher.research.rendering import render
from literesearcher.testing.byte_tokenizer import NOT_SPECIAL, SPECIAL, write_byte_tokenizer
from literesearcher.testing.injections import INJECTIONS
from literesearcher.testing.machine_run import MachineRun, call, created
from literesearcher.testing.replay.rollouts import load

SELF_MADE = Path(__file__).parents[2] / "data" / "rollouts"
TEST_DATA = os.environ.get("LITERESEARCHER_TEST_DATA")
CASES = load(SELF_MADE) + (load(Path(TEST_DATA) / "trajectories") if TEST_DATA else [])


@pytest.fixture(scope="module", params=["bytes", "qwen3"])
def tokenizer_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One made here, and the real one where the data is."""
    if request.param == "bytes":
        return write_byte_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")
    path = Path(TEST_DATA or "absent") / "qwen3_tokenizer" / "tokenizer.json"
    if not path.is_file():
        pytest.skip("LITERESEARCHER_TEST_DATA names no folder with qwen3_tokenizer/")
    return path


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.from_file(tokenizer_file)


def packed(ids: list[int]) -> str:
    return base64.b64encode(struct.pack(f"<{len(ids)}I", *ids)).decode()


@pytest.mark.parametrize("opens_thought", [True, False])
def test_a_job_appends_and_never_changes_what_was_sent(tokenizer: Tokenizer, opens_thought: bool) -> None:
    history = TokenHistory(tokenizer, opens_thought=opens_thought)
    for case in CASES[:5]:
        run = MachineRun.begin(created(case.question))
        sent: list[int] = []
        for turn in case.turns:
            text = turn.text.removeprefix("<think>\n") if opens_thought else turn.text
            messages = run.turn(text, opened_thought=opens_thought).messages
            fresh = history.new_characters(messages, case.id)
            ids = history.prompt(messages, program=case.id)
            assert ids[: len(sent)] == sent
            assert ids == TokenHistory(tokenizer, opens_thought=opens_thought).prompt(messages)
            assert unicodedata.normalize("NFC", tokenizer.decode(ids)) == unicodedata.normalize(
                "NFC", render(messages, opens_thought)
            )
            if sent:
                assert fresh < sum(len(message.content) for message in messages[-2:]) + 1, "only the new is encoded"
            sent = [*ids, *history._written(text)]
            if turn.response is not None:
                run.tool(turn.response.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>"))


def test_ids_are_those_of_the_rendered_text_where_no_page_plays_tricks(tokenizer_file: Path) -> None:
    """The published rollouts hold no tags in pages: ids and text are then the same prompt to the model."""
    whole = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    whole.no_truncation()
    history = TokenHistory(Tokenizer.from_file(tokenizer_file), opens_thought=False)
    for case in CASES:
        run = MachineRun.begin(created(case.question))
        for turn in case.turns:
            messages = run.turn(turn.text).messages
            if turn.response is not None:
                run.tool(turn.response.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>"))
        ids = history.prompt(messages)
        assert ids == whole.encode(render(messages, False), add_special_tokens=False).ids, case.id


@pytest.mark.parametrize("attack", INJECTIONS)
def test_a_page_is_only_ever_text(tokenizer: Tokenizer, attack: str) -> None:
    text = INJECTIONS[attack]
    messages = (
        Message("system", "instructions"),
        Message("user", "Who?"),
        Message("assistant", call("search"), opened_thought=False),
        tool_message(text, "improved"),
    )
    names = {tokenizer.token(name): name for name in (*SPECIAL, *NOT_SPECIAL)}
    ids = TokenHistory(tokenizer, opens_thought=True).prompt(messages)
    structure = [names[number] for number in ids if number in names]
    roles = ["<|im_start|>", "<|im_end|>"]
    turn = ["<|im_start|>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_end|>"]
    frame = ["<|im_start|>", "<tool_response>", "</tool_response>", "<|im_end|>"]
    assert structure == [*roles, *roles, *turn, *frame, "<|im_start|>", "<think>"]
    # Qwen3's tokenizer composes characters; the one made here leaves them.
    shown = unicodedata.normalize("NFC", f"<tool_response>\n{valid_unicode(text)}\n</tool_response><|im_end|>")
    assert shown in unicodedata.normalize("NFC", tokenizer.decode(ids))


def test_the_servers_ids_stay_as_they_are(tokenizer: Tokenizer) -> None:
    """A model may spell a text with other tokens than a tokenizer would; what it generated is what it remembers."""
    history = TokenHistory(tokenizer, opens_thought=False)
    text = call("search", thought="several words here")
    spelled = [number for letter in text for number in tokenizer.encode(letter)]
    opening = (Message("system", "s"), Message("user", "q"))
    first = history.prompt(opening, program="job")
    settled = history.settled(spelled, text)
    assert settled == tuple(spelled)
    turn = Message("assistant", text, False, packed(spelled))
    later = history.prompt((*opening, turn, tool_message("found", "improved")), program="job")
    assert later[: len(first) + len(spelled)] == [*first, *spelled]
    again = TokenHistory(tokenizer, opens_thought=False)
    assert again.prompt((*opening, turn, tool_message("found", "improved"))) == later, "after a crash, from the journal"


def test_ids_of_a_stop_string_and_of_the_turns_end_are_no_part_of_the_text(tokenizer: Tokenizer) -> None:
    history = TokenHistory(tokenizer, opens_thought=False)
    text = "<think>\na\n</think>\n<answer>b</answer>"
    own = history._written(text)
    end = tokenizer.token("<|im_end|>")
    response = tokenizer.token("<tool_response>")
    assert end is not None
    assert response is not None
    for beyond in ([], [end], [end, end], [*tokenizer.encode("\n"), response], [response]):
        assert history.settled([*own, *beyond], text) == tuple(own)
    assert history.settled(tokenizer.encode("another text altogether, and long"), text) is None
    assert history.settled([], text) is None
    assert history.settled([end], "") == ()


@pytest.mark.parametrize("broken", ["%%%", "AAA=", "AAECAw", "é"])
def test_damaged_ids_of_a_journal_are_done_without(tokenizer: Tokenizer, broken: str) -> None:
    history = TokenHistory(tokenizer, opens_thought=False)
    assert history.prompt((Message("assistant", "a", False, broken),)) == history.prompt(
        (Message("assistant", "a", False),)
    )


def test_conversations_are_kept_apart_and_the_oldest_is_forgotten(tokenizer: Tokenizer) -> None:
    history = TokenHistory(tokenizer, opens_thought=False, programs=2)
    conversations = {name: (Message("system", "s"), Message("user", name)) for name in "abc"}
    sent = {name: history.prompt(messages, program=name) for name, messages in conversations.items()}
    assert history.new_characters(conversations["a"], "a") > 0
    assert history.new_characters(conversations["c"], "c") == 0
    assert {name: history.prompt(messages, program=name) for name, messages in conversations.items()} == sent
    swapped = (Message("system", "s"), Message("user", "another question"))
    assert history.prompt(swapped, program="c") == TokenHistory(tokenizer, opens_thought=False).prompt(swapped)


def test_a_tokenizer_of_another_template_is_refused(tmp_path: Path) -> None:
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={"a": 0}, merges=[]))
    made.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigurationError, match="ChatML"):
        TokenHistory(Tokenizer.from_file(tmp_path / "tokenizer.json"), opens_thought=False)
