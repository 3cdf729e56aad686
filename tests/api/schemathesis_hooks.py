"""For Schemathesis, which runs as a process of its own: webhooks signed as GitHub signs them."""

import os
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st

from api.paging import Wanted
from api.signature import sign


@schemathesis.auth(refresh_interval=None).apply_to(path="/webhooks/github")
class Signature:
    """The signature of whatever body a case has."""

    def get(self, _case: Any, _context: Any) -> str:
        """The secret that both sides know."""
        return os.environ["WEBHOOK_SECRET"]

    def set(self, case: Any, data: str, _context: Any) -> None:
        """Sign the body as it will be sent."""
        told = case.as_transport_kwargs(base_url="http://localhost")
        told.pop("cookies", None)
        body = requests.Request(**told).prepare().body or b""
        raw = body.encode() if isinstance(body, str) else body
        case.headers = {
            **(case.headers or {}),
            "X-Hub-Signature-256": sign(data, raw),
            "X-GitHub-Event": "workflow_job",
        }


# Cursors are opaque: these are such as the gateway gives.
MOMENT = st.floats(1e9, 2e9)
NAME = st.from_regex(r"[a-z]{1,9}/[a-z]{1,9}", fullmatch=True)
KEYS = {
    "repos": st.tuples(NAME),
    "dead-letters": st.tuples(MOMENT, NAME),
    "audit": st.tuples(MOMENT.map(lambda at: -at), st.integers(0, 9)),
    "jobs": st.tuples(st.integers(0, 2 * 10**15), st.lists(NAME, max_size=3)),
}
for name, keys in KEYS.items():
    cursors = keys.map(lambda key, name=name: Wanted(name, 1, "").cursor_of(*key))
    schemathesis.openapi.format(f"{name}-cursor", cursors | st.just(""))
