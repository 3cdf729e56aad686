"""A wrong clock for one process: Debian's libfaketime, where it is installed (.ci/faketime)."""

from pathlib import Path

PLACES = (
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/libfaketime.so.1",
)


def library() -> str:
    """Its path; empty if it is not installed."""
    for place in PLACES:
        for found in sorted(Path("/").glob(place.lstrip("/"))):
            return str(found)
    return ""


def environment(skew: float) -> dict[str, str]:
    """For a process whose clock is wrong by so many seconds. Its monotonic clock is right."""
    return {
        "LD_PRELOAD": library(),
        "FAKETIME": f"{skew:+.0f}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
