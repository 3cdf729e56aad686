"""Timeouts and retry policies, by what they are for."""

from datetime import timedelta

from temporalio.common import RetryPolicy

# Temporal, or a provider that may be down for a while: try on, with growing pauses.
PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=30),
)
ONE_TRY = timedelta(seconds=60)
# Every activity beats (activities/heartbeat.py): one whose worker was killed is tried again then.
HEARTBEAT = timedelta(seconds=10)
# After this the job gives its permit back and queues again, so that others may try.
TOKEN_AND_LAUNCH = timedelta(minutes=10)
# A look at holders that takes longer is given up; the next one comes ten minutes later.
LONGEST_LOOK = timedelta(minutes=5)
# A part of a recovery run is not tried again: the next run comes soon, and goes on where it ended.
ONCE = RetryPolicy(maximum_attempts=1)
RECOVERY_PART = timedelta(minutes=5)
STOP_ALL = timedelta(minutes=5)
