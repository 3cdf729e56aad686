"""/admin/dead-letters: what was refused or failed, brought back or forgotten."""

import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from activities.dead_letters import DeadLetters, Key, Page
from api.admin.gate import record_of
from api.audit import Record
from api.models.dead_letters import DeadLetterAnswer, DeadLetterPage, Purged, Replayed
from api.openapi import problems
from api.paging import Limit, Wanted, bad_cursor, cursor_query
from api.problems import Problem
from api.replay import Replay

Id = Annotated[
    str,
    Path(
        alias="id",
        max_length=300,
        description="As the list has it.",
        examples=["delivery-acme-api-29679449526-queued"],
    ),
]


def told(page: Page) -> dict[str, Any]:
    """A part of them, and how many there are."""
    return {"dead_letters": [asdict(one) for one in page.letters], "total": page.total}


async def read(letters: DeadLetters, most: int) -> dict[str, Any]:
    """The first page of GET /admin/dead-letters. Raises LettersUnavailable."""
    return told(await letters.page(None, most))


LONGEST_AGO = 1e9  # seconds: thirty years


def add(routes: APIRouter, letters: DeadLetters, replay: Replay) -> None:
    """The routes of this file."""

    @routes.get(
        "/dead-letters",
        summary="What was refused or failed for good",
        response_model=DeadLetterPage,
    )
    async def get_dead_letters(
        response: Response,
        limit: Limit = 100,
        cursor: Annotated[str, cursor_query("dead-letters")] = "",
    ) -> dict[str, Any]:
        """Refused deliveries and jobs that failed for good, the oldest first, in pages."""
        wanted = Wanted("dead-letters", limit, cursor)
        page = await letters.page(_key_in(wanted), limit)
        following = wanted.cursor_of(*page.letters[-1].key) if page.more else ""
        return {**told(page), "next": wanted.link(response, following)}

    @routes.get(
        "/dead-letters/{id}",
        summary="One dead letter",
        response_model=DeadLetterAnswer,
        responses=problems(404),
    )
    async def get_dead_letter(id_: Id) -> dict[str, Any]:
        """One of them, whole."""
        letter = await letters.get(id_)
        if letter is None:
            raise _missing(id_)
        return asdict(letter)

    @routes.post(
        "/dead-letters/{id}/replay",
        summary="Handle a refused event as if it came now",
        response_model=Replayed,
        responses=problems(404, 409),
    )
    async def post_replay(id_: Id, record: Record = Depends(record_of)) -> dict[str, Any]:
        """Then the letter is gone. Safe to repeat: a job that is known is a `duplicate`.

        409: it cannot be brought back from here, and the answer says what to do instead. 503: the
        mode refuses it now; the letter stays.
        """
        record.what = f"replay dead letter {id_}"
        return await replay.replay(id_)

    @routes.delete(
        "/dead-letters",
        summary="Forget all that were last refused so long ago",
        response_model=Purged,
    )
    async def purge_dead_letters(
        older_than_seconds: Annotated[float, Query(ge=0, le=LONGEST_AGO, examples=[2592000])],
        record: Record = Depends(record_of),
    ) -> dict[str, Any]:
        """What was refused is then known to GitHub's delivery log alone."""
        record.what = f"forget dead letters older than {older_than_seconds:g} s"
        return {"purged": await letters.purge(before=time.time() - older_than_seconds)}

    @routes.delete(
        "/dead-letters/{id}",
        summary="Forget a dead letter",
        status_code=204,
        responses=problems(404),
    )
    async def delete_dead_letter(id_: Id, record: Record = Depends(record_of)) -> None:
        """What was refused is then known to GitHub's delivery log alone."""
        record.what = f"forget dead letter {id_}"
        if not await letters.remove(id_):
            raise _missing(id_)


def _missing(id_: str) -> Problem:
    return Problem(404, f"there is no dead letter {id_}")


def _key_in(wanted: Wanted) -> Key | None:
    match wanted.after():
        case None:
            return None
        case [int() | float() as since, str() as id_]:
            return float(since), id_
        case _:
            raise bad_cursor()
