"""What the page's tests share: signing in, forms, and readings that nobody had to make."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support import ADMIN_KEY, PATIENCE

NAMES = ("mode", "fleet", "drain", "waiting")


@asynccontextmanager
async def signed_in(url: str, key: str = ADMIN_KEY) -> AsyncGenerator[httpx.AsyncClient]:
    """A browser without a window, which has signed in."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, follow_redirects=True) as http:
        answer = await http.post("/page/sign-in", data={"key": key})
        assert answer.status_code == 200, answer.text
        yield http


def token_in(text: str) -> str:
    """The token of a page's form."""
    found = re.search(r'name="token" value="([0-9a-f]{64})"', text)
    assert found
    return found[1]


def repo(number: int, waiting: int = 10) -> dict[str, Any]:
    """A repository as `status` has it."""
    return {
        "repo": f"organization-{number % 20}/a-repository-with-a-long-name-{number:03}",
        "running": 2,
        "waiting": waiting,
        "oldest_wait_seconds": 100.0 + number,
        "allotment": 2,
        "limit": 2,
        "settled": True,
        "org_limit": 100,
        "waiting_by_priority": [
            {"priority": "high", "count": 3, "oldest_wait_seconds": 50.0},
            {"priority": "normal", "count": waiting - 3, "oldest_wait_seconds": 100.0 + number},
        ],
    }
