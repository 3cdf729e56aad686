"""GitHub's time, by which all its times are told and kept, whatever this machine's clock says.

What workers share (pauses, buckets, the ages of tokens) must be in one time: a worker whose clock
is ahead would else call before GitHub's time, and spend what another one has saved.
"""

from activities.token_store import Clock

TOLERANCE_SECONDS = 5.0  # a difference that is smaller is the network's, or that of whole seconds


class GitHubClock:
    """Our clock, set right by the `Date` of GitHub's answers; epoch seconds."""

    def __init__(self, ours: Clock, tolerance: float = TOLERANCE_SECONDS) -> None:
        self._ours = ours
        self._told = False
        self.tolerance = tolerance
        self.skew = 0.0  # GitHub's clock less ours, in seconds; small differences are 0

    def __call__(self) -> float:
        """GitHub's time."""
        return self._ours() + self.skew

    def heard(self, date: float, took: float) -> None:
        """GitHub answered with this `Date` after `took` seconds."""
        self._told = True
        self._set(date, took)

    def hint(self, date: float, took: float) -> None:
        """Somebody else who knows the time said so: it counts until GitHub itself has."""
        if not self._told:
            self._set(date, took)

    def _set(self, date: float, took: float) -> None:
        # It was written somewhere in the time it took, and says whole seconds only.
        skew = date + 0.5 - (self._ours() - took / 2)
        self.skew = skew if abs(skew) > self.tolerance + took else 0.0
