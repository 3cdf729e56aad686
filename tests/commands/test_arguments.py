"""Durations as people write them."""

import pytest
import typer

from commands.arguments import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90", 90), ("0.5", 0.5), ("45s", 45), ("30m", 1800), ("1h30m", 5400)),
        *(("2d", 172800), (" 1h5s ", 3605), ("0", 0)),
    ],
)
def test_a_duration_is_read(text, seconds):
    """In seconds."""
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "m", "30x", "-5", "1h 5m", "1m1h", "5s5s"])
def test_what_is_none_is_refused(text):
    """By its own words."""
    with pytest.raises(typer.BadParameter, match="duration"):
        seconds_of(text)
