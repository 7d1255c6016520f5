"""What a replica died of, out of what Serve says of it."""

from __future__ import annotations

import pytest

from literesearcher.cluster import failed_starts

TRACE = """The deployment failed to start 3 times in a row. This may be due to a problem with its constructor or \
initial health check failing. See controller logs for details. Error:
\x1b[36mray::ServeReplica:engine:Engine.initialize_and_get_metadata()\x1b[39m (pid=8941, ip=127.0.0.2, actor_id=4e)
  File "/lib/python3.11/site-packages/ray/serve/_private/replica.py", line 1928, in initialize
    raise RuntimeError(traceback.format_exc()) from None
RuntimeError: Traceback (most recent call last):
  File "asyncpg/connection.py", line 2498, in connect
ConnectionRefusedError: [Errno 111] Connection refused

The above exception was the direct cause of the following exception:

\x1b[36mray::ServeReplica:engine:Engine.initialize_and_get_metadata()\x1b[39m (pid=8941, ip=127.0.0.2, actor_id=4e)
  File "engine_app.py", line 24, in __init__
"""


def test_our_own_error_is_the_sentence() -> None:
    said = TRACE + "literesearcher.errors.BoundaryError: the job store does not answer: [Errno 111] Connection refused"
    assert failed_starts.sentence(said) == "the job store does not answer: [Errno 111] Connection refused"
    assert failed_starts.refusal(said) == ""


def test_a_setting_that_is_wrong_is_told_from_what_may_pass() -> None:
    said = TRACE + "literesearcher.errors.ConfigurationError: the KV pool holds 9 tokens, less than one conversation\n"
    assert failed_starts.sentence(said) == "the KV pool holds 9 tokens, less than one conversation"
    assert failed_starts.refusal(said) == "the KV pool holds 9 tokens, less than one conversation"


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory", "OutOfMemoryError: CUDA out of memory"),
        ("ModuleNotFoundError: No module named 'torch'", "ModuleNotFoundError: No module named 'torch'"),
        ("ray.exceptions.ActorDiedError: The actor died", "ActorDiedError: The actor died"),
    ],
)
def test_of_another_error_name_and_words(last: str, sentence: str) -> None:
    assert failed_starts.sentence(f"{TRACE}{last}\n") == sentence
    assert failed_starts.refusal(f"{TRACE}{last}\n") == ""


def test_what_holds_no_traceback_is_said_as_it_is() -> None:
    said = 'Deployment "Engine" has 1 replicas that have taken\n more than 30s to be scheduled. Resources: {"GPU": 2}'
    assert failed_starts.sentence(said) == " ".join(said.split())
    assert failed_starts.sentence("") == ""


def test_a_page_of_words_is_cut() -> None:
    assert len(failed_starts.sentence("word " * 1000)) <= 480
