"""What callers of the raw model are told of tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from literesearcher.engine.raw_call import told
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.testing.byte_tokenizer import write_byte_tokenizer


def test_many_tokens_with_alternatives_are_decoded_once_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = Tokenizer.from_file(write_byte_tokenizer(tmp_path / "tokenizer.json"))
    one, other = tokenizer.encode_whole("ab")
    decode, decoded = tokenizer.decode, []

    def counted(ids: list[int]) -> str:
        decoded.extend(ids)
        return decode(ids)

    monkeypatch.setattr(tokenizer, "decode", counted)
    found = told(tokenizer, [one, other] * 50, [-0.5] * 100, [[(one, -0.5), (other, -1.0)]] * 99)
    assert sorted(decoded) == sorted([one, other])
    assert len(found) == 99
    assert (found[1].id, found[1].text, found[1].logprob) == (other, "b", -0.5)
    assert found[1].others == (("a", -0.5), ("b", -1.0))
