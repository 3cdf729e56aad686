"""`python -m tests.record`: record the corpus of the present version anew.

`--missing TEST…` runs only these tests and adds the paths that are not there yet. Exit code 1 if a
test failed or a path is shown by no history; what was found is written all the same.
"""

import sys

import pytest

from embedded.leave import leave

SCENES = (
    "tests/record/scenes.py",
    "tests/workflows",
    "tests/e2e/test_mixed_versions.py",
    # These look at the corpus, or do what others do.
    "--ignore=tests/workflows/test_corpus.py",
    "--ignore=tests/workflows/test_changed.py",
    "--ignore=tests/workflows/test_uncached.py",
)
HELP = "usage: python -m tests.record [--missing TEST [TEST …]]"


def main(arguments: list[str]) -> int:
    """Run the scenes under the plugin, which writes what they showed."""
    add = arguments[:1] == ["--missing"]
    if (arguments and not add) or (add and not arguments[1:]):
        print(HELP, file=sys.stderr)
        return 2
    # Options of the usual runs (coverage, several processes) would stand in the way.
    plain = ["-o", "addopts=", "-q", "-p", "tests.record.plugin"]
    scenes = ["--record-missing", *arguments[1:]] if add else SCENES
    return int(pytest.main([*plain, *scenes]))


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
