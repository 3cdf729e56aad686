"""Names and what can be read back from them; priorities; epochs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import messages, names, priority


@given(st.text("Aa0-", min_size=1), st.text("Zz9._-", min_size=1), st.integers(1))
def test_ids_can_be_read_back(owner: str, name: str, job: int) -> None:
    """The same workflow, however a repository's name is spelt."""
    repo = f"{owner}/{name}"
    workflow = names.runner_job_id(repo, job)
    assert workflow == names.runner_job_id(repo.upper().lower(), str(job))
    assert names.repo_of(workflow) == repo.lower() == names.repo_of(names.semaphore_id(repo))
    assert names.job_of(workflow) == str(job)


def test_ids_are_spelt_as_other_peoples_scripts_have_them() -> None:
    """In lower case, as GitHub itself takes names in any."""
    assert names.runner_job_id("Acme/API", 7) == "runner-job/acme/api/7"
    assert names.semaphore_id("Acme/API") == "repo-semaphore/acme/api"
    assert names.repo_of("runner-job/acme/api/7") == "acme/api"
    assert names.job_of("runner-job/acme/api/7") == "7"
    assert names.job_of("fleet") == "fleet", "an id of another form breaks nothing"
    assert names.runner_name(7, 2) == "penstock-7-2"


@given(st.integers(1, 10**19), st.integers(1, 999))
def test_a_runner_name_fits_github_and_names_its_job(job: int, attempt: int) -> None:
    """At most 64 characters, none that GitHub forbids."""
    name = names.runner_name(job, attempt)
    assert names.job_of_runner(name) == str(job)
    assert len(name) <= 64
    assert not set(name) & set('"/:<>|*?')


@pytest.mark.parametrize(
    "name",
    [
        "",
        "penstock-",
        "penstock-7",
        "penstock-x-1",
        "penstock-7-x",
        "7-1",
        "penstock-7-1-2",
        "GitHub Actions 3",
    ],
)
def test_other_names_are_not_ours(name: str) -> None:
    """No job can be read from them."""
    assert names.job_of_runner(name) == ""


def test_unknown_priorities_count_as_normal() -> None:
    """A label with a typing error must not lose the job."""
    assert [priority.level(p) for p in (*priority.PRIORITIES, "urgent")] == [0, 1, 2, 3, 2]


@pytest.mark.parametrize(
    ("name", "waited", "expected"),
    [("low", 0, 3), ("low", 599, 3), ("low", 600, 2), ("low", 1800, 0), ("critical", 9999, 0),
     ("normal", -50, 2), ("normal", 1, 2), ("urgent", 599.5, 2), ("urgent", 600.5, 1),
     ("low", 1199.5, 2), ("low", 1200, 1), ("high", 599.9, 1), ("high", 600, 0)],
)  # fmt: skip
def test_ageing_raises_a_level_every_ten_minutes(name: str, waited: float, expected: int) -> None:
    """Never above critical; a clock that lags ages nobody."""
    assert priority.effective_level(name, 5000.0, 5000.0 + waited) == expected


@given(st.floats(0, 4e9), st.floats(0.001, 1e6))
def test_later_lives_sort_after_earlier_ones(started: float, later: float) -> None:
    """Whatever their run ids."""
    assert messages.epoch(started, "zzz") < messages.epoch(started + later, "aaa")


def test_a_life_bears_its_microseconds_and_a_part_of_its_run() -> None:
    """Semaphores and Fleet of other versions compare them: their form is fixed."""
    named = messages.epoch(1_790_000_000.25, "5f0c2a7e-8a43-4c1b")
    assert named == "1790000000250000.5f0c2a7e"
    assert messages.epoch(1.5, "run") == "0000000001500000.run"
