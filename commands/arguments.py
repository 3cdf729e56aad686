"""Arguments: name=number, durations, repositories and jobs."""

import re

import typer

from api.events import OWNER, REPOSITORY


def pair(text: str) -> tuple[str, str]:
    """Name and value."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"{text!r} is not of the form name=number")
    return key, value


def number_of(text: str) -> int | float:
    """Whole if it has no point."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number") from None


def whole_number(text: str) -> int | None:
    """None for an empty text, which unsets a limit."""
    number = number_of(text) if text else None
    if isinstance(number, float):
        raise typer.BadParameter(f"{text!r} is no whole number")
    return number


def seconds_of(text: str) -> float:
    """Seconds of `90`, `45s`, `30m`, `1h30m` or `2d`."""
    found = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    if not text.strip() or found is None:
        raise typer.BadParameter(f"{text!r} is no duration: 90, 45s, 30m or 1h30m")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def repository(text: str, hint: str = "REPO") -> str:
    """`owner/repo`, and nothing else: it goes into queries."""
    owner, _, name = text.partition("/")
    if not (OWNER.fullmatch(owner) and REPOSITORY.fullmatch(name)):
        raise typer.BadParameter("a repository is owner/repo", param_hint=hint)
    return text


def job_number(text: str) -> str:
    """A job's number at GitHub."""
    if not re.fullmatch("[0-9]{1,19}", text):
        raise typer.BadParameter("a job is a number", param_hint="JOB")
    return text
