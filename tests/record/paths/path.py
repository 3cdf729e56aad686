"""What a path is."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.record.run import Run


@dataclass(frozen=True)
class Path:
    """A way through one workflow, told apart by what its history holds."""

    type: str  # the workflow type
    way: str  # as in a file's name
    what: str
    shows: Callable[[Run], bool]

    @property
    def name(self) -> str:
        """TYPE/way."""
        return f"{self.type}/{self.way}"


def paths(type_: str, *ways: tuple[str, str, Callable[[Run], bool]]) -> tuple[Path, ...]:
    """The paths of one workflow type."""
    return tuple(Path(type_, *way) for way in ways)
