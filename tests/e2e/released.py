"""The release before this one, unpacked: what upgrades come from."""

import asyncio
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.process import ROOT

# The last state that was handed over. The newest tag goes before it, once there are tags.
LAST_RELEASE = "5046370777e4dcdc022613ea43d62878a5bc704e"


async def unpack_last_release(folder: Path) -> Path:
    """Its files in this folder. Skips the test where git does not know it."""
    return await asyncio.to_thread(_unpack, folder)


def _unpack(folder: Path) -> Path:
    newest = _git("describe", "--tags", "--abbrev=0", "HEAD^").stdout.decode().strip()
    release = newest or LAST_RELEASE
    archive = folder / "release.tar"
    made = _git("archive", "--output", str(archive), release)
    if made.returncode:
        pytest.skip(f"git cannot give {release}: a shallow clone, or no repository")
    with tarfile.open(archive) as files:
        # What git made of our own commit. The filter is not in every Python 3.11.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        files.extractall(folder / "release", **safe)
    return folder / "release"


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no git here")
