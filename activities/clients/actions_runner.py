"""Runs GitHub's own actions/runner for one job: what `runner.folder` is run by, a program.

    python -I -S actions_runner.py FOLDER

FOLDER is an unpacked release of actions/runner. It is copied into the present folder, which is
this runner's own: a job must not change what the next one runs with. Then `config.sh` registers it
(or the JIT configuration does), and `run.sh` takes this process's place. Secrets go to both by the
environment (actions/runner, CommandSettings.cs: any argument may be a variable, which it takes out
again): a command line is to be read by every user of the machine. Standard library only.
"""

import os
import subprocess
import sys
from pathlib import Path

JIT = "PENSTOCK_RUNNER_JITCONFIG_FILE"
TOKEN = "PENSTOCK_RUNNER_TOKEN_FILE"  # noqa: S105 - a variable's name


def main(folder: str) -> int:  # noqa: RET503 - it is replaced at its end
    """The exit code, where it does not come to `run.sh`: that one's is GitHub's."""
    words = ["cp", "-a", "--reflink=auto", f"{folder}/.", "."]
    copied = subprocess.run(words, check=False)
    if copied.returncode:
        return copied.returncode
    environment = dict(os.environ)
    if jit := environment.pop(JIT, ""):
        environment["ACTIONS_RUNNER_INPUT_JITCONFIG"] = _secret(jit)
    else:
        told = {**environment, "ACTIONS_RUNNER_INPUT_TOKEN": _secret(environment.pop(TOKEN))}
        code = subprocess.run(_registration(environment), env=told, check=False).returncode
        if code:
            return code
    os.execve("./run.sh", ["./run.sh"], environment)  # noqa: S606 - no shell is wanted


def _registration(environment: dict[str, str]) -> list[str]:
    words = ["./config.sh", "--unattended", "--ephemeral", "--disableupdate"]
    words += ["--url", environment["PENSTOCK_RUNNER_URL"]]
    words += ["--name", environment["PENSTOCK_RUNNER_NAME"]]
    words += ["--labels", environment["PENSTOCK_RUNNER_LABELS"]]
    if group := environment.get("PENSTOCK_RUNNER_GROUP"):
        words += ["--runnergroup", group]
    return words


def _secret(path: str) -> str:
    """Read once, and gone: with a registration token a job could register runners of its own."""
    file = Path(path)
    secret = file.read_text(encoding="utf-8").strip()
    file.unlink()
    return secret


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
