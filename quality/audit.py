"""`make audit`: the lock files against the known vulnerabilities, by pip-audit.

Red for a vulnerability, and for a lock file that pip-audit cannot read; never for want of a
network, or of an index that knows of vulnerabilities: then one line says what was not looked at.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCKS = ("requirements/run.txt", "requirements/dev.txt")
# An advisory that does not concern us, by its id: why not, and until when.
ACCEPTED: Mapping[str, str] = {}
SECONDS = 240
# How pip-audit 2.10 ends when its service is away (pip_audit/_cli.py, pip_audit/_service/): by an
# exception of requests or of its own, or with a word of advice.
AWAY = re.compile(
    r"^(requests\.exceptions\.\w+|pip_audit\._service\.interface\.\w+)|Could not connect to .*|"
    r".* is not redirecting properly",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Finding:
    """What is known of one lock file."""

    audited: int
    skipped: int  # packages that the service knows nothing of
    vulnerable: tuple[str, ...]  # a line each
    unreachable: str = ""  # why nothing is known


def findings(report: Mapping[str, Any], accepted: Mapping[str, str] = ACCEPTED) -> Finding:
    """What a report of `pip-audit --format json` says."""
    audited, skipped = 0, 0
    vulnerable: list[str] = []
    for package in report["dependencies"]:
        if "skip_reason" in package:
            skipped += 1
            continue
        audited += 1
        for one in package["vulns"]:
            if not {one["id"], *one.get("aliases", ())} & set(accepted):
                mended = ", ".join(one["fix_versions"]) or "no version yet"
                vulnerable.append(
                    f"{package['name']} {package['version']}: {one['id']}, mended in {mended}"
                )
    nothing = "the index tells nothing of vulnerabilities" if skipped and not audited else ""
    return Finding(audited, skipped, tuple(vulnerable), nothing)


def audit(lock: Path, more: Sequence[str] = ()) -> Finding:
    """Ask pip-audit about a lock file; `more`: options for it. Raises ValueError if it cannot."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), *more]
    command += ["--require-hashes", "--disable-pip", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [*command, "--format", "json"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding(0, 0, (), f"no answer within {SECONDS} s")
    if done.stdout.startswith("{"):
        return findings(json.loads(done.stdout))
    said = done.stderr.strip()
    away = AWAY.search(said)
    if away:
        return Finding(0, 0, (), away.group().rsplit(".", 1)[-1].strip())
    raise ValueError(f"pip-audit cannot read {lock}: {said[-300:] or 'it says nothing'}")


def main() -> int:
    """A line for each lock file; 1 if there is something to mend."""
    red = 0
    for lock in LOCKS:
        try:
            found = audit(Path(lock))
        except ValueError as error:
            print(error, file=sys.stderr)
            red = 1
            continue
        if found.unreachable:
            print(f"audit: {lock} was not looked at for vulnerabilities: {found.unreachable}")
            continue
        unknown = f", {found.skipped} unknown to the index" if found.skipped else ""
        number = len(found.vulnerable)
        print(f"audit: {lock}: {found.audited} packages{unknown}, vulnerabilities: {number}")
        for line in found.vulnerable:
            print(f"  {line}")
            red = 1
    return red


if __name__ == "__main__":
    sys.exit(main())
