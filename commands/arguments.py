"""Arguments of the form name=number."""

import typer


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
