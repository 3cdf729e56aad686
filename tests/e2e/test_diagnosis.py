"""What a failed test says of what its processes were at."""

from types import SimpleNamespace

import pytest

from policy import names
from tests.e2e import diagnosis
from tests.e2e.diagnosis import FAILED, state, told_of


@pytest.fixture
def whole(tmp_path, site, server):
    """A log of thirty lines and a long word at DEBUG, and where Temporal and GitHub are."""
    lines = [f"line {n}" for n in range(30)]
    lines[20:20] = ["2026-11-29 09:00:00,000 DEBUG done: {", *["a detail"] * 40]
    lines[61:61] = ["2026-11-29 09:00:00,001 INFO and then"]
    (tmp_path / "worker-0.log").write_text("\n".join(lines))
    return SimpleNamespace(folder=tmp_path, site=site, address=server.running.address)


async def test_a_failed_test_says_what_everything_was_at(penstock, whole, capsys):
    """The job that runs and why, the Fleet, its semaphore, GitHub's word, the ends of logs."""
    stack = await penstock()
    (job,) = await stack.site.jobs("acme/api", seconds=600)
    assert await stack.site.wait("job_started", job_id=job)
    for failed in (False, True):
        request = SimpleNamespace(node=SimpleNamespace(stash={FAILED: failed}))
        async with told_of(request, whole):
            assert not capsys.readouterr().out, "not of a test that did well"
    said = capsys.readouterr().out
    lines = {line.partition(": {")[0]: line for line in said.splitlines()}
    assert '"permit": "held"' in lines[f"open: {names.runner_job_id('acme/api', job)}"]
    assert '"in_use": 1' in lines[f"open: {names.semaphore_id('acme/api')}"]
    assert '"running": 1' in lines["the Fleet's overview"]
    assert '"mode": "normal"' in lines[f"open: {names.FLEET_ID}"]
    assert '"in_progress": 1' in lines["GitHub"]
    assert said.index("worker-0.log") < said.index("line 12\n") < said.index("line 29\n")
    assert "line 11\n" not in said
    assert "a detail" not in said


async def test_without_temporal_it_says_the_rest(whole, monkeypatch):
    """Within its time."""
    monkeypatch.setattr(diagnosis, "SECONDS", 0.5)
    whole.address = "127.0.0.1:1"
    said = await state(whole)
    assert said.startswith("Temporal: ")
    assert "GitHub: {" in said
    assert "line 29" in said
