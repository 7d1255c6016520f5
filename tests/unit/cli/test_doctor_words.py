"""What the doctor says: settings as one would type them, and a cause once."""

from __future__ import annotations

from literesearcher.cli.checks import checks, configured
from literesearcher.settings.load import load_settings


def test_settings_are_shown_as_they_are_typed_and_secrets_are_not():
    typed = {
        "LITERESEARCHER_TOOLS__PAGES": '["local", "direct"]',
        "LITERESEARCHER_TOOLS__HEDGE": "false",
        "LITERESEARCHER_TOOLS__INTRANET": '{"acme": ["wiki.acme.example"]}',
        "LITERESEARCHER_SERPER__API_KEY": "k-planted",
    }
    shown = dict(configured(load_settings(typed, dotenv=None)))
    assert shown.pop("LITERESEARCHER_SERPER__API_KEY") == "****"
    shown.pop("LITERESEARCHER_DATA_DIR", None)
    assert shown == {name: value for name, value in typed.items() if name.split("__")[0] != "LITERESEARCHER_SERPER"}


async def test_what_rests_on_a_broken_store_names_it_and_does_not_repeat_its_message(tmp_path):
    settings = load_settings({"LITERESEARCHER_DATA_DIR": str(tmp_path), "HOME": str(tmp_path)}, dotenv=None)
    (tmp_path / "jobs.sqlite3").write_bytes(b"no database at all, for sure" * 400)
    found = {finding.subject: finding async for finding in checks(settings) if finding.subject in ("store", "keys")}
    assert found["store"].state == found["keys"].state == "broken"
    assert "store is broken" in found["keys"].told
    assert found["keys"].way_out is None
