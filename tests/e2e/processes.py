"""What the kernel tells of a cluster's living processes: command lines and environments."""

from collections.abc import Mapping
from pathlib import Path

# The first word of a command line that has one of these says which process it is.
KINDS = {
    "gateway": "gateway",
    "worker": "worker",
    "keeper.py": "keeper",
    "__main__.py": "runner",
}
PLACES = {
    f"{what} of {kind}" for what in ("environment", "command line") for kind in KINDS.values()
}


def told(folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Of each process that has this folder in its command line, or works in it.

    `given` are variables that gateway and worker must have, and nobody else: left out of theirs.
    """
    texts: dict[str, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
            works_in = str((process / "cwd").readlink())
            environment = (process / "environ").read_bytes().decode().split("\0")
        except OSError:  # it has ended meanwhile, or is another user's
            continue
        if str(folder) not in f"{works_in}/" and not any(str(folder) in word for word in words):
            continue
        kind = next(
            (KINDS[end] for word in words if (end := word.rpartition("/")[2]) in KINDS), "?"
        )
        if kind in ("gateway", "worker"):
            lines = [f"{key}={value}" for key, value in given.items()]
            assert set(lines) <= set(environment), f"the environment of {kind} was not read"
            environment = [line for line in environment if line not in lines]
        texts[f"command line of {kind}: {process.name}"] = "\n".join(words)
        texts[f"environment of {kind}: {process.name}"] = "\n".join(environment)
    return texts
