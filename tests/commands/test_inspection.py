"""Every `temporal …` line of docs/inspection.md does what the page says, on a fleet with jobs."""

import asyncio
import shlex
from pathlib import Path

from tests.e2e.process import TEMPORAL, run

DOCS = Path(__file__).parents[2] / "docs"
LINES = [
    line
    for line in (DOCS / "inspection.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("temporal ")
]


async def test_the_lines_of_the_page_run(penstock, client):
    stack = await penstock(limits={"default": 1})
    (ended,) = await stack.site.jobs("acme/api", seconds=0.1)
    await stack.result("acme/api", ended)
    first, last = await stack.site.jobs("acme/api", count=2, seconds=600)
    await stack.site.wait("job_started", job_id=first)
    await stack.site.wait("deliveries_idle")
    address = client.service_client.config.target_host

    async def one(line):
        words = shlex.split(line.replace("ENDED", str(ended)).replace("JOB", str(last)))
        code, said = await run(TEMPORAL, *words[1:], "--address", address)
        assert code == 0, f"{line}: {said}"
        return said

    said = dict(zip(LINES, await asyncio.gather(*map(one, LINES)), strict=True))
    assert len(said) == 15
    assert str(last) in said[LINES[0]]
    assert not said[LINES[3]].strip(), "a workflow of a job ended in no order"
    assert '"completed"' in said["temporal workflow result -w runner-job/acme/api/ENDED"]
    state = said["temporal workflow query -w repo-semaphore/acme/api --type state"]
    assert str(first) in state
    assert str(last) in state


def test_pictures_are_there_and_small():
    named = (DOCS / "inspection.md").read_text(encoding="utf-8")
    for picture in (DOCS / "pictures").glob("*.png"):
        assert f"pictures/{picture.name}" in named
        assert picture.stat().st_size < 150_000
