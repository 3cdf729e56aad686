"""GET /admin/recoveries."""

from pydantic import Field

from api.models.base import Answer, Time, example


class RecoveryRun(Answer):
    """One run: what it paid, and what it left to the next one."""

    model_config = example(
        {
            "workflow_id": "recovery-2026-11-28T20:00:00Z",
            "started_at": 1795561200.5,
            "ended_at": 1795561203.5,
            "ended": "completed",
            "mode": "normal",
            "room": 70,
            "letters_replayed": 2,
            "letters_left": 0,
            "deliveries_redelivered": 3,
            "deliveries_owed": 1,
            "deliveries_written_off": 0,
            "jobs_started": 0,
            "jobs_ended": 0,
            "runners_stopped": 0,
            "runners_removed": 0,
            "points": 23,
            "failures": {},
        }
    )
    workflow_id: str
    started_at: Time
    ended_at: Time
    ended: str = Field(description="How it ended, in Temporal's word.")
    mode: str = Field("unknown", description="Of the fleet, as it began.")
    room: int = Field(0, description="How many jobs could be brought back then.")
    letters_replayed: int = 0
    letters_left: int = 0
    deliveries_redelivered: int = Field(0, description="GitHub was asked to send them again.")
    deliveries_owed: int = Field(0, description="Asked for again, not due yet, or without room.")
    deliveries_written_off: int = Field(0, description="Older than GitHub keeps them.")
    jobs_started: int = Field(0, description="Queued at GitHub, without a workflow.")
    jobs_ended: int = Field(0, description="Queued at GitHub, though their workflow has ended.")
    runners_stopped: int = 0
    runners_removed: int = Field(0, description="At GitHub, where there was no runner.")
    points: int = Field(0, description="Of GitHub's secondary limit, spent.")
    failures: dict[str, list[str]] = Field({}, description="What stopped a part, by its name.")


class RecoveryRuns(Answer):
    """The last to end first."""

    recoveries: list[RecoveryRun]
