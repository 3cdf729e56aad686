"""What Penstock stands on is listed whole, and no secret stands in the repository."""

import json
import re
import subprocess
from pathlib import Path

from quality import sbom

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(r"^([a-z0-9-]+)(?:\[[^]]*\])?==([^ ;]+)", re.MULTILINE)
# As checker/laws/secrets.py has them, and AWS's: docs.aws.amazon.com "IAM identifiers".
SECRET = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9_]{36,}|github_pat_[A-Za-z0-9_]{50,}|(?:AKIA|ASIA)[A-Z0-9]{16})\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"
)
# Tests make up what looks like one, and the documentation of AWS does.
MADE_UP = ("tests/", "benchmarks/", "simulator/", "chaos/")
EXAMPLES = ("AKIAIOSFODNN7EXAMPLE",)


def test_every_package_of_the_lock_file_is_in_the_bill_of_materials(tmp_path, monkeypatch) -> None:
    """By name and version, each with its hashes; cyclonedx-py holds it against the schema."""
    monkeypatch.chdir(ROOT)
    target = tmp_path / "made/sbom.cdx.json"
    sbom.write(target)
    told = json.loads(target.read_text())
    assert (told["bomFormat"], told["metadata"]["component"]["name"]) == ("CycloneDX", "penstock")
    listed = {(c["name"], c["version"]) for c in told["components"]}
    assert listed == set(PINNED.findall((ROOT / sbom.LOCK).read_text()))
    for component in told["components"]:
        assert component["externalReferences"][0]["hashes"]


def test_no_secret_is_committed() -> None:
    """No key, no token, in any tracked file but where tests make them up."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    for name in filter(None, names):
        if name.startswith(MADE_UP) or not (ROOT / name).is_file():
            continue
        for found in SECRET.finditer((ROOT / name).read_text(errors="replace")):
            assert found.group() in EXAMPLES, f"{name} has what looks like a secret"


def test_the_search_would_find_one() -> None:
    """A token, a key of AWS's, a private key."""
    for text in (
        f"x ghs_{'a' * 36}",
        f"AKIA{'B' * 16}",
        f"-----BEGIN PRIVATE KEY-----\n{'A' * 64}",
    ):
        assert SECRET.search(text)
