"""Lists in pages: `limit` and `cursor` in, `next` and a Link header out.

A cursor names the last entry shown, not how many were: what comes or goes meanwhile neither hides
nor doubles an entry.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import urlencode

from fastapi import Query, Response

from api.problems import Problem

T = TypeVar("T")
LARGEST_PAGE = 1000
LONGEST_CURSOR = 2000

Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="At most so many on a page.")]


def cursor_query(name: str) -> Any:
    """The query parameter `cursor` of one list. Its format says whose it is, to generators too."""
    return Query(
        max_length=LONGEST_CURSOR,
        description="From the former page's `next`; empty for the first page.",
        json_schema_extra={"format": f"{name}-cursor"},
    )


@dataclass(frozen=True)
class Wanted:
    """The page of one list that is asked for."""

    name: str  # the list's, as in its path
    limit: int
    cursor: str

    def after(self) -> list[Any] | None:
        """The key in the cursor; None for the first page. Raises Problem if it is none of ours."""
        if not self.cursor:
            return None
        try:
            told: object = json.loads(base64.b64decode(self.cursor, "-_", validate=True))
        except (binascii.Error, ValueError, RecursionError):
            told = None
        key = cast(list[Any], told) if isinstance(told, list) else []
        if key[:1] != [self.name] or self.cursor_of(*key[1:]) != self.cursor:
            raise bad_cursor()
        return key[1:]

    def cursor_of(self, *key: Any) -> str:
        """The cursor of a page that begins after the entry with this key."""
        told = json.dumps([self.name, *key], separators=(",", ":"))
        return base64.urlsafe_b64encode(told.encode()).decode()

    def link(self, response: Response, cursor: str, **query: str) -> str | None:
        """The next page's address, into the answer's Link header too; None if there is none."""
        if not cursor:
            return None
        asked = {key: value for key, value in query.items() if value}
        more = urlencode({"limit": self.limit, "cursor": cursor, **asked})
        address = f"/admin/{self.name}?{more}"
        response.headers["Link"] = f'<{address}>; rel="next"'
        return address


def bad_cursor() -> Problem:
    """The cursor is not one of this list's."""
    return Problem(422, "cursor: it is none of this list's; begin again without one")


def cut(
    wanted: Wanted, entries: Sequence[T], key_of: Callable[[T], list[Any]]
) -> tuple[list[T], str]:
    """The page of a list that is sorted by its keys, and the next page's cursor.

    The keys must not repeat, and be of a kind that JSON carries.
    """
    after = wanted.after()
    try:
        left = [entry for entry in entries if after is None or key_of(entry) > after]
    except TypeError:  # a cursor of our form with other things in it
        raise bad_cursor() from None
    page = left[: wanted.limit]
    more = len(left) > len(page)
    return page, wanted.cursor_of(*key_of(page[-1])) if more else ""
