"""Outages one after another while jobs arrive (demo/outages.py): recovery pays for all of it."""

from demo import outages
from policy import redelivery
from tests.support import PATIENCE


async def test_no_job_and_no_event_is_lost_by_three_outages(tmp_path, monkeypatch):
    """No gateway, Temporal killed, maintenance: every job runs once, every event is taken."""
    # What was sent again in vain, into the outage, is sent again sooner than after two minutes.
    monkeypatch.setattr(redelivery, "FIRST_PAUSE_SECONDS", 15.0)
    seen = await outages.play(tmp_path, 4.0, 2 * PATIENCE)
    print(seen)
    assert seen.violations == []
    assert seen.refused > 0, "no outage was met"
    assert seen.ran_once == seen.jobs > 30
    assert (seen.never_processed, seen.letters_left) == (0, 0)
