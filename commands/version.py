"""`penstock version`."""

from api.version import VERSION
from commands.common import OUTPUT
from commands.output import say


def version(output: str = OUTPUT) -> None:
    """The version of Penstock."""
    say(output, {"version": VERSION}, f"penstock {VERSION}")
