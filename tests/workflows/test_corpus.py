"""Every history that was ever recorded for a release replays on today's code: tests/histories.

A change of a workflow that fails here would stop the running workflows of that release at an
upgrade. CONTRIBUTING.md says what to do, and how to record (`make record`).
"""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from checker import Evidence
from checker.laws.secrets import no_secret
from tests.record import corpus
from tests.record.paths import PATHS
from tests.record.run import Run
from tests.workflows.exact import replay_exactly
from worker import WORKFLOWS
from workflows import patches

MOST_BYTES = 2_000_000
TYPES = {workflow.__temporal_workflow_definition.name for workflow in WORKFLOWS}


def names(found: Iterable[Path]) -> list[str]:
    """As test ids."""
    return [corpus.name_of(path) for path in found]


@pytest.mark.parametrize("path", corpus.files(), ids=names(corpus.files()))
async def test_it_replays(path):
    """In the strict sandbox, command by command."""
    await replay_exactly(corpus.load(path))


@pytest.mark.parametrize("path", PATHS, ids=[path.name for path in PATHS])
def test_every_path_is_recorded_for_this_version(path):
    """And its history shows it. Where this fails: `make record`."""
    release = corpus.current()
    assert release in corpus.releases(), "this version has no histories: make record"
    (entry,) = [one for one in corpus.manifest(release) if one.path == path.name]
    recorded = corpus.load(corpus.FOLDER / release / entry.file)
    assert (recorded.type, len(recorded.events)) == (path.type, entry.events)
    assert path.shows(Run(recorded)), f"{entry.file} does not show it any more: {path.what}"


def test_every_workflow_type_has_paths_in_every_release():
    """A new workflow type brings paths of its own."""
    assert {path.type for path in PATHS} == TYPES
    assert corpus.releases()
    for release in corpus.releases():
        assert {entry.path.split("/")[0] for entry in corpus.manifest(release)} <= TYPES
    assert len({path.name for path in PATHS}) == len(PATHS)


@pytest.mark.parametrize("release", corpus.releases())
def test_a_manifest_names_the_files_that_there_are(release):
    """No more and no less."""
    named = {entry.file for entry in corpus.manifest(release)}
    assert named == {path.name for path in (corpus.FOLDER / release).glob("*.json.gz")}


def test_the_corpus_is_small_and_holds_no_secret():
    """It is part of every checkout, and public."""
    assert sum(path.stat().st_size for path in corpus.FOLDER.rglob("*")) < MOST_BYTES
    assert no_secret(Evidence([corpus.load(path) for path in corpus.files()])) == []


def test_every_patch_is_taken_by_a_history_of_this_version():
    """A patch whose newer way no history shows might break it unseen."""
    ids = set(re.findall(r'patched\("([^"]+)"\)', Path(patches.__file__).read_text()))
    release = corpus.FOLDER / corpus.current()
    taken = {id_ for path in release.glob("*.gz") for id_ in Run(corpus.load(path)).patches}
    assert ids
    assert ids <= taken, f"no path shows: {sorted(ids - taken)}"
