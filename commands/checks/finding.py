"""One line of a doctor's report."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """`what` was looked at and how it is; `said` names cause and mend where it is not good."""

    what: str
    state: Literal["good", "warning", "bad", "skipped"]
    said: str
