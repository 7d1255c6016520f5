"""The folder of a batch: what a kill leaves, and who may work in it."""

import json
from pathlib import Path

import pytest

from literesearcher.cli.batch_run import Due, due_rollouts, under_wishes
from literesearcher.cli.batch_state import BatchFolder, Rollout
from literesearcher.cli.dataset import Item
from literesearcher.errors import CallerError

FIRST = Rollout("item", "digest", 1)
SECOND = Rollout("item", "digest", 2)


def result(rollout: Rollout, status: str) -> dict[str, object]:
    return {"item": rollout.item, "digest": rollout.digest, "rollout": rollout.number, "status": status}


def test_results_and_jobs_are_found_again(tmp_path: Path):
    folder = BatchFolder(tmp_path / "run")
    folder.remember_job(FIRST, 0, "job_1")
    folder.remember_result(FIRST, result(FIRST, "failed"))
    folder.remember_job(SECOND, 0, "job_2")
    run_id = folder.run_id
    folder.close()
    folder.close()

    again = BatchFolder(tmp_path / "run")
    assert again.run_id == run_id
    assert again.finished == {FIRST: "failed"}
    assert again.tries == {FIRST: 1}
    assert again.jobs == {(FIRST, 0): "job_1", (SECOND, 0): "job_2"}
    again.remember_result(FIRST, result(FIRST, "completed"))
    again.close()

    last = BatchFolder(tmp_path / "run")
    assert last.finished == {FIRST: "completed"}
    assert last.tries == {FIRST: 2}
    last.close()


@pytest.mark.parametrize("torn", [b'{"item": "item", "dig', b"\x00" * 70_000, b'{"item": "item"}'])
def test_a_line_torn_by_a_kill_is_cut_off_and_the_next_one_is_whole(tmp_path: Path, torn: bytes):
    folder = BatchFolder(tmp_path)
    folder.remember_result(FIRST, result(FIRST, "completed"))
    folder.close()
    with (tmp_path / "results.jsonl").open("ab") as file:
        file.write(torn)

    again = BatchFolder(tmp_path)
    assert again.finished == {FIRST: "completed"}
    again.remember_result(SECOND, result(SECOND, "incomplete"))
    again.close()
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["rollout"] for line in lines] == [1, 2]


def test_a_file_that_is_all_torn_begins_anew(tmp_path: Path):
    (tmp_path / "results.jsonl").write_bytes(b'{"item')
    folder = BatchFolder(tmp_path)
    folder.remember_result(FIRST, result(FIRST, "completed"))
    folder.close()
    assert json.loads((tmp_path / "results.jsonl").read_text())["status"] == "completed"


def test_one_process_at_a_time_works_in_a_folder(tmp_path: Path):
    folder = BatchFolder(tmp_path)
    with pytest.raises(CallerError, match="another batch"):
        BatchFolder(tmp_path)
    folder.close()
    BatchFolder(tmp_path).close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CallerError) as caught:
        BatchFolder(tmp_path / "file")
    assert "file" in caught.value.message
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(CallerError, match=r"run\.json"):
        BatchFolder(tmp_path)


def test_a_rollout_that_ran_out_of_budget_is_due_again_and_other_wishes_are_other_rollouts(tmp_path: Path):
    item = Item("item", 1, "q", None, "a", "digest")
    folder = BatchFolder(tmp_path / "run")
    folder.remember_result(FIRST, result(FIRST, "incomplete") | {"stop_reason": "budget_spent"})
    folder.remember_result(SECOND, result(SECOND, "incomplete") | {"stop_reason": "timeout"})
    folder.close()
    again = BatchFolder(tmp_path / "run")
    assert due_rollouts([item], 2, again, retry_failed=False) == [Due(item, FIRST, 1)]
    assert under_wishes([item], {}) == [item]
    (narrow,) = under_wishes([item], {"language": ("en",)})
    assert [due.tried for due in due_rollouts([narrow], 2, again, retry_failed=False)] == [0, 0]
    assert under_wishes([item], {"language": ["en"]}) == [narrow]
    again.close()
