"""When a workflow without an end goes on as a new run, and on which version of the workers.

With worker versioning (docs/operations.md) such a run is pinned to the version that began it.
When another version has become current, Temporal says so with the next workflow task; the run
then continues as new on the current version, with its state, and needs no patches: no code ever
replays what another version did. Workers without a version are never told, and a history of
theirs has the commands it always had.
"""

from typing import NoReturn

from temporalio import workflow


def new_run_due() -> bool:
    """Whether the history is long enough, or another version is current."""
    return workflow.info().is_continue_as_new_suggested() or _moved()


def go_on(state: object) -> NoReturn:
    """Continue as new with this state, on the version that is current."""
    if _moved():
        workflow.continue_as_new(
            state,
            initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
        )
    workflow.continue_as_new(state)


def _moved() -> bool:
    # Never true for a run that an operator has pinned by `temporal workflow update-options`.
    return workflow.info().is_target_worker_deployment_version_changed()
