"""The recorded corpus: one folder a release, in it a manifest and a history for each path."""

import gzip
import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from checker import history
from checker.history import History

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "histories"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Entry:
    """A line of a manifest."""

    path: str  # TYPE/what-happens
    shows: str
    file: str  # several paths may be shown by one history
    workflow_id: str
    events: int


def current() -> str:
    """The version of Penstock that is recorded now."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def releases() -> list[str]:
    """The releases that have been recorded."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{MANIFEST}"))


def manifest(release: str) -> list[Entry]:
    """What a release's part of the corpus holds."""
    text = (FOLDER / release / MANIFEST).read_text(encoding="utf-8")
    return [Entry(**line) for line in json.loads(text)]


def files() -> list[Path]:
    """Every history of every release."""
    return sorted(FOLDER.glob("*/*.json.gz"))


def name_of(path: Path) -> str:
    """RELEASE/FILE, as tests call it."""
    return f"{path.parent.name}/{path.name.removesuffix('.json.gz')}"


def load(path: Path) -> History:
    """A history of the corpus. Raises NotAHistory, OSError."""
    return history.of(json.loads(gzip.decompress(path.read_bytes())))


def packed(recorded: History) -> bytes:
    """The history as it is stored; no time stamp inside, so that the same makes the same file."""
    content = json.dumps(recorded.raw, separators=(",", ":"), sort_keys=True)
    return gzip.compress(content.encode(), mtime=0)


def write(release: str, kept: dict[str, tuple[str, History]]) -> None:
    """Write a release's part anew: by path, what it shows and the history that does."""
    folder = FOLDER / release
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    contents: dict[bytes, str] = {}
    for path, (shows, recorded) in sorted(kept.items()):
        content = packed(recorded)
        file = contents.setdefault(content, f"{path.replace('/', '.')}.json.gz")
        entries.append(Entry(path, shows, file, recorded.workflow_id, len(recorded.events)))
    for left in folder.glob("*.json.gz"):
        if left.name not in contents.values():
            left.unlink()
    for content, file in contents.items():
        (folder / file).write_bytes(content)
    lines: list[dict[str, Any]] = [asdict(entry) for entry in entries]
    text = json.dumps(lines, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
