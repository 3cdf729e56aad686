"""Which life of a workflow this is. An operator's reset begins a new one, in the middle of a run.

A run made by a reset begins with a copy of another run's events. The code that replays them must
come to the same commands, so nothing in it may depend on the run's own id: `info().run_id` is
another one then (`original_execution_run_id` is not). That a reset has happened is told at its
place in the history: Temporal gives the workflow a new seed of chance there, and nowhere else.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from policy import messages


class Life:
    """Make it in a workflow's `__init__`. `was_reset` is for whoever acts on it to take back."""

    def __init__(self) -> None:
        """No reset has been heard of."""
        self.was_reset = False
        self._id = workflow.info().original_execution_run_id
        workflow.register_random_seed_callback(self._reseeded)

    def epoch(self, began_at: float) -> str:
        """A name for what began at this time (epoch seconds) in this life."""
        return messages.epoch(began_at, self._id)

    def _reseeded(self, seed: int) -> None:
        self._id = f"{seed & 0xFFFFFFFF:08x}"
        self.was_reset = True
