"""Billable actions that a history tells of.

Source: Temporal Cloud's list of actions (docs.temporal.io/cloud/actions). One each: a start,
continue-as-new (as the start of the next run), a signal (counted where it is received; one that
starts a workflow counts with the start), an accepted update, a timer, an activity and each of its
retries, an upsert of search attributes, one batch of local activities (markers) a workflow task.
A child workflow counts two. Not in histories, so not counted: queries, heartbeats, rejected
updates, deduplicated starts, schedules.
"""

from checker.history import History

ONE = {
    "WORKFLOW_EXECUTION_STARTED",
    "WORKFLOW_EXECUTION_SIGNALED",
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
    "TIMER_STARTED",
    "ACTIVITY_TASK_SCHEDULED",
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
    # A signal to a closed workflow is received nowhere.
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
}


def count(history: History) -> int:
    """The billable actions of one run."""
    total = 0
    tasks_with_markers: set[str] = set()
    for event in history.events:
        if event.type in ONE:
            total += 1
        elif event.type == "START_CHILD_WORKFLOW_EXECUTION_INITIATED":
            total += 2
        elif event.type == "ACTIVITY_TASK_STARTED":
            total += int(event.attributes.get("attempt", 1)) - 1
        elif event.type == "MARKER_RECORDED":
            task = str(event.attributes.get("workflowTaskCompletedEventId"))
            tasks_with_markers.add(task)
    return total + len(tasks_with_markers) - _started_by_signal(history)


def _started_by_signal(history: History) -> int:
    """1 if the run began with a signal: both were one call."""
    second = history.events[1] if len(history.events) > 1 else None
    return int(second is not None and second.type == "WORKFLOW_EXECUTION_SIGNALED")
