"""What stands before the page's routes: who is signed in, whether a form is one of ours."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.access import address_of
from api.audit import Record
from api.page.sessions import COOKIE, SECURE_COOKIE, SESSION_SECONDS, Session, Sessions
from api.problems import Problem
from api.security_headers import NOWHERE

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    + NOWHERE.replace("form-action 'none'", "form-action 'self'")
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Robots-Tag": "noindex"}
MOST_FIELDS = 1000


@dataclass(frozen=True)
class Form:
    """What a form sent: each field once."""

    fields: dict[str, str]

    def __call__(self, name: str) -> str:
        """A field without the space around it; empty if it is not there."""
        return self.fields.get(name, "").strip()


def html(text: str, status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    """A page, with a policy that lets it load what is ours."""
    return HTMLResponse(text, status, headers={**HEADERS, **(headers or {})})


def see(path: str) -> RedirectResponse:
    """What was posted is done: look there."""
    return RedirectResponse(path, 303)


def session_of(request: Request, sessions: Sessions) -> Session | None:
    """Who is signed in."""
    return sessions.find(request.cookies.get(_name(request), ""), time.time())


def operator_of(request: Request, sessions: Sessions) -> Session:
    """Who is signed in and may change things. Raises Problem 401, 403."""
    session = session_of(request, sessions)
    if session is None:
        raise Problem(401, "sign in first: /")
    if not session.may_operate:
        said = f"{session.caller.actor} has scope read; this takes operate"
        raise Problem(403, said)
    return session


def keep(response: Response, request: Request, value: str) -> None:
    """Have the browser keep the cookie; an empty value has it forget."""
    response.set_cookie(
        _name(request),
        value,
        max_age=int(SESSION_SECONDS) if value else 0,
        path="/",
        secure=_secure(request),
        httponly=True,
        samesite="strict",
    )


async def form_of(request: Request) -> Form:
    """What was posted. Raises Problem 403 if another site had it posted, 422 if it is no form."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "this form was sent by another site")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "this takes a form: application/x-www-form-urlencoded")
    try:
        text = (await request.body()).decode()
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Problem(422, "the body is no form") from None
    return Form(dict(pairs))


async def own_form(request: Request, session: Session) -> Form:
    """A form that this page made for this session. Raises Problem."""
    form = await form_of(request)
    if not compare_digest(form("token").encode(), session.token.encode()):
        raise Problem(403, "this form is not of your session: open the page anew and try again")
    return form


@contextmanager
def audited(request: Request, session: Session) -> Generator[Record]:
    """The audit line of a change, as at /admin, written whatever comes of it."""
    what = f"{request.method} {request.url.path}"
    record = Record(address_of(request), what, status=500)
    caller = session.caller
    record.actor, record.key, record.scope = caller.actor, caller.name, caller.scope
    try:
        yield record
        record.status = 200 if record.status == 500 else record.status
    except Problem as problem:
        record.status = problem.status
        raise
    finally:
        record.write()


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _name(request: Request) -> str:
    return SECURE_COOKIE if _secure(request) else COOKIE
