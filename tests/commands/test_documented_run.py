"""Every `penstock …` that README and docs show is run on a fleet: done, or refused with a reason.

Those that serve until they are stopped, or want a machine of their own, are run elsewhere.
"""

import asyncio
import shlex

import cli
from tests.commands.grammar import WORDS, commands
from tests.commands.test_documented import FOUND, ROOT
from tests.commands.test_one_source import fleet

__all__ = ["fleet"]

ELSEWHERE = {
    "demo": "tests/e2e/test_operating.py",
    "dev": "tests/e2e/test_operating.py",
    "gateway": "tests/e2e/test_cluster.py",
    "worker": "tests/e2e/test_cluster.py",
    "setup": "tests/commands/test_setup.py",
    "promote": "tests/e2e/test_mixed_versions.py",
    "versions": "tests/e2e/test_mixed_versions.py",
    "admin-key iam": "tests/api/test_iam.py",
    "status --watch": "tests/commands/test_output.py",
}
NAMES = {name for name, _ in commands()}
# Done; failed with a reason (there is no such letter); a deadline has passed.
GOOD = (0, 1, 4)


def runnable() -> list[str]:
    """Each once, without those whose name alone is a word about them."""
    lines = dict.fromkeys(FOUND.values())
    known = [one for one in lines if not any(one.startswith(name) for name in ELSEWHERE)]
    alone = {"dead-letters", "doctor", "limits", "repos", "jobs", "status", "resume", "drain"}
    groups = [one for one in known if f"penstock {one}" in NAMES and one not in alone]
    return [one for one in known if one not in groups and not one.startswith("--")]


def on_this_fleet(line: str, job: int) -> list[str]:
    """With a job that there is; a drain is waited for a moment, and nobody is asked."""
    words = shlex.split(line.replace(WORDS["JOB"], str(job)).replace("30m", "1s"))
    if words[0] == "drain" and "--wait" in words and "--deadline" not in words:
        words += ["--deadline", "1s"]
    if words[:2] in (["jobs", "cancel"], ["fleet", "rebuild"]) and "--yes" not in words:
        words += ["--yes"] if words[0] == "jobs" else []
    return words


async def test_every_documented_command_does_what_it_can(fleet, capsys):
    """In the order of the pages; none is misunderstood, none ends by a fault of ours."""
    wrong: dict[str, str] = {}
    ran = 0
    for line in runnable():
        words = on_this_fleet(line, fleet.running)
        code = await asyncio.to_thread(cli.run_command, words)
        said = capsys.readouterr()
        ran += 1
        if code not in GOOD or "Traceback" in said.err:
            wrong[line] = f"{code}: {said.err[-300:]}"
    assert wrong == {}
    assert ran > 40
    assert all((ROOT / path).is_file() for path in ELSEWHERE.values())
