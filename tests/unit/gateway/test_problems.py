"""The one table of statuses holds every error; documents give nothing away."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

import literesearcher
from literesearcher import errors
from literesearcher.gateway.problems import STATUS_BY_CLASS, STATUS_BY_CODE, problem_of, status_of

CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.LiteResearcherError) and cls.__module__ == errors.__name__
]
PACKAGE = Path(next(iter(literesearcher.__path__)))


def test_every_class_and_every_default_code_has_an_entry() -> None:
    assert set(STATUS_BY_CLASS) == set(CLASSES)
    assert {cls.default_code for cls in CLASSES} <= set(STATUS_BY_CODE)


def test_class_and_code_agree() -> None:
    for cls in CLASSES:
        assert STATUS_BY_CODE[cls.default_code] == STATUS_BY_CLASS[cls], cls


@pytest.mark.parametrize("room", ["jobs/ports.py", "engine/port.py"])
def test_every_code_that_a_port_names_has_an_entry(room: str) -> None:
    named = set(re.findall(r"`((?:store|engine)_[a-z]+)`", (PACKAGE / room).read_text()))
    assert named
    assert named <= set(STATUS_BY_CODE)


def test_statuses_are_named_nowhere_else_in_the_gateway() -> None:
    """Routes say 200, 202 and 204; every refusal takes its status from the table."""
    for path in (PACKAGE / "gateway").glob("*.py"):
        if path.name in ("problems.py", "operations.py", "app.py"):
            continue
        assert not re.findall(r"(?:status|status_code)=[45]\d\d", path.read_text()), path.name


def test_a_code_of_its_own_falls_back_to_its_class() -> None:
    assert status_of(errors.CallerError("no", code="something_new")) == 422
    assert status_of(errors.BoundaryError("no", code="something_new")) == 502


def test_what_is_for_the_operator_is_not_shown() -> None:
    answer = problem_of(errors.SequenceConflict("expected 7 at postgresql://user:secret@db"), path="/v1/research")
    assert b"secret" not in answer.body
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


def test_retry_after_is_the_dependency_s_own_rounded_up() -> None:
    error = errors.BoundaryError("busy", code="engine_busy", transient=True, retry_after=2.2)
    assert problem_of(error, path="/")
    assert problem_of(error, path="/").headers["retry-after"] == "3"


def test_a_path_of_anything_becomes_a_reference() -> None:
    body = json.loads(problem_of(errors.NotFound("no"), path="/v1/\n\udcff<x>é").body)
    assert body["instance"].isascii()
    assert "\n" not in body["instance"]
    assert "<" not in body["instance"]
