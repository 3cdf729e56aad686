"""Every path of every workflow type that the corpus must hold, and how a history shows it."""

from tests.record.paths.fleets import FLEETS
from tests.record.paths.jobs import JOBS
from tests.record.paths.path import Path
from tests.record.paths.recoveries import RECOVERIES
from tests.record.paths.semaphores import SEMAPHORES

PATHS: tuple[Path, ...] = (*JOBS, *SEMAPHORES, *FLEETS, *RECOVERIES)

__all__ = ["PATHS", "Path"]
