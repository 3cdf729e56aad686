"""`runner.folder`: GitHub's own runner for each job, with stand-ins for its two programs."""

import shlex
import sys
from pathlib import Path

import pytest
import yaml

import settings as configuration
from settings import InvalidSettings
from tests.workflows.test_lives import all_laws

ROOT = Path(__file__).resolve().parents[2]
RUNNER = shlex.join([sys.executable, "-I", "-S", str(ROOT / "simulator/runner/__main__.py")])
CONFIG = """#!/bin/sh
echo "$@" >> {log}
echo "$ACTIONS_RUNNER_INPUT_TOKEN" > .credentials
"""
RUN = f"""#!/bin/sh
env >> {{log}}
ls .. >> {{log}}
if [ -n "$ACTIONS_RUNNER_INPUT_JITCONFIG" ]; then
  echo "$ACTIONS_RUNNER_INPUT_JITCONFIG" > .credentials
  export PENSTOCK_RUNNER_JITCONFIG_FILE=$PWD/.credentials
else
  export PENSTOCK_RUNNER_TOKEN_FILE=$PWD/.credentials
fi
echo changed > run.sh.log
exec {RUNNER}
"""


@pytest.fixture
def folder(tmp_path):
    """What a release of actions/runner has for us, and where it tells what it was told."""
    made = tmp_path / "actions-runner"
    made.mkdir()
    for name, text in (("config.sh", CONFIG), ("run.sh", RUN)):
        (made / name).write_text(text.replace("{log}", str(tmp_path / "log")))
        (made / name).chmod(0o755)
    return made


@pytest.mark.parametrize("mode", ["registration", "jit"])
async def test_each_job_has_a_copy_of_its_own(penstock, folder, tmp_path, mode):
    """Registered as Penstock says, without the token in what the job sees; the folder stays."""
    stack = await penstock(runner={"command": [], "folder": folder}, github={"mode": mode})
    await stack.site.jobs("acme/api", count=2, seconds=0.1)
    await all_laws(stack)
    log = (tmp_path / "log").read_text()
    assert ("--unattended --ephemeral --disableupdate --url" in log) is (mode == "registration")
    assert "--token" not in log, "every user of the machine reads command lines"
    assert "ACTIONS_RUNNER_INPUT_TOKEN" not in log
    assert "PENSTOCK_RUNNER_TOKEN_FILE" not in log
    assert "launch.json" in log.splitlines()
    assert "token" not in log.splitlines(), "the job finds no secret beside its folder"
    assert sorted(path.name for path in folder.iterdir()) == ["config.sh", "run.sh"]


def test_a_folder_that_is_none_is_named(tmp_path):
    """Before anything is launched; and there is one way to run runners."""
    given = {"gateway": {"webhook_secret": "a"}, "github": {"token": "b"}}
    missing = configuration.load(None, runner={"folder": tmp_path}, **given)
    with pytest.raises(InvalidSettings, match=r"no config\.sh in .*unpack a release"):
        missing.check_secrets()
    with pytest.raises(InvalidSettings, match=r"runner\.command or runner\.folder, not both"):
        configuration.load(None, runner={"folder": tmp_path, "command": ["x"]}, **given)


def test_the_quick_starts_configuration_is_one(tmp_path, monkeypatch):
    """As it stands on the page, with the files that the page makes."""
    page = (ROOT / "docs/quickstart.md").read_text()
    block = page.split("```toml\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    Path("penstock.toml").write_text("\n".join(line.strip() for line in block.splitlines()))
    Path("webhook-secret").write_text("a")
    Path("github-token").write_text("b")
    Path("actions-runner").mkdir()
    for name in ("config.sh", "run.sh"):
        (Path("actions-runner") / name).touch()
    made = configuration.load(None)
    made.check_secrets()
    workflow = yaml.safe_load((ROOT / "docs/examples/self-hosted.yml").read_text())
    for job in workflow["jobs"].values():
        assert set(job["runs-on"]) <= set(made.gateway.labels)
