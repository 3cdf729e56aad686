"""All that somebody could read of a cluster, each text named `place: which`."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import jwt

from demo.site import APP_ID, Site
from tests.e2e import processes
from tests.e2e.cluster import TOKENS, Cluster
from tests.e2e.planted import GIVEN
from tests.page.support import signed_in
from tests.support import ADMIN_KEY, PATIENCE

PLACES = {"log", "page", "answer", "metrics", "delivery", "file", "table", "command"}
COMMANDS = (
    *("status", "status -o json", "jobs", "limits", "fleet audit", "config check"),
    *(
        "doctor",
        "doctor -o json",
        "config show",
        "config show -o json",
        "dead-letters",
        "dead-letters -o json",
    ),
)


async def everything(cluster: Cluster, repo: str, job: int) -> dict[str, str]:
    """Logs, metrics, answers, pages, files, the table, what commands and the kernel say."""
    found = {f"log: {path.name}": path.read_text() for path in cluster.folder.glob("*.log")}
    found |= await _pages(cluster.url, repo)
    found |= await _answers(cluster, repo, job)
    found |= processes.told(cluster.folder, GIVEN)
    found |= await _deliveries(cluster.site)
    found |= _files(cluster.folder / "state")
    found["table: all"] = json.dumps(await items(cluster), default=str)
    return found | await _commands(cluster, *COMMANDS, f"explain {repo} {job}")


async def _commands(cluster: Cluster, *lines: str) -> dict[str, str]:
    """Three at once: each waits for much of its time."""
    turn = asyncio.Semaphore(3)

    async def said(line: str) -> str:
        async with turn:
            return (await cluster.run(*line.split()))[1]

    texts = await asyncio.gather(*map(said, lines))
    return {f"command: {line}": text for line, text in zip(lines, texts, strict=True)}


async def items(cluster: Cluster) -> list[Any]:
    """The items of the token table."""
    client = cluster.aws.dynamodb()
    return (await asyncio.to_thread(client.scan, TableName=TOKENS))["Items"]


def _files(folder: Path) -> dict[str, str]:
    return {
        f"file: {path.relative_to(folder)}": path.read_text(errors="replace")
        for path in folder.rglob("*")
        if path.is_file() and path.name != "token" and path.suffix != ".db"
    }


async def _deliveries(site: Site) -> dict[str, str]:
    """What GitHub shows the App's owner: each event, and how it was answered."""
    now, key = int(time.time()), (site.folder / "app.pem").read_text()
    claims = {"iat": now - 60, "exp": now + 300, "iss": APP_ID}
    headers = {
        "Authorization": f"Bearer {jwt.encode(claims, key, algorithm='RS256')}",
        "User-Agent": "a test",
    }
    log = f"{site.url}/app/hook/deliveries"
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE) as http:
        listed = (await http.get(log, params={"per_page": 100})).raise_for_status().json()
        shown = [await http.get(f"{log}/{one['id']}") for one in listed]
    return {f"delivery: {one.url.path}": one.raise_for_status().text for one in shown}


async def _answers(cluster: Cluster, repo: str, job: int) -> dict[str, str]:
    """All that gateway and workers answer to a GET, with an admin's key and without."""
    found: dict[str, str] = {}
    owner, name = repo.split("/")
    async with httpx.AsyncClient(base_url=cluster.url, timeout=PATIENCE) as http:
        described = (await http.get("/openapi.json")).json()["paths"]
        paths = [path for path, methods in described.items() if "get" in methods]
        assert "/admin/dead-letters/{id}" in paths
        letters = (await cluster.admin("GET", "dead-letters")).json()["dead_letters"]
        values = {"owner": owner, "repo": name, "job_id": job, "id": letters[0]["id"]}
        every = [path.format(**values) for path in (*paths, "/", "/docs", "/openapi.json")]
        # The wrong key last: after ten of them nobody is let in from here.
        for key in (ADMIN_KEY, "no-such-key"):
            for where in (*every, *cluster.metrics):
                answer = await http.get(where, headers={"Authorization": f"Bearer {key}"})
                kind = "metrics" if where in cluster.metrics else "answer"
                text = f"{answer.headers}\n{answer.text}"
                found[f"{kind}: {where} {answer.status_code}"] = text
    return found


async def _pages(url: str, repo: str) -> dict[str, str]:
    """The operations page as one sees it who has signed in, and its first live update."""
    found: dict[str, str] = {}
    async with signed_in(url) as http:
        for where in ("/", f"/?q={repo}", "/page/limits", "/page/mode"):
            answer = await http.get(where)
            found[f"page: {where}"] = answer.raise_for_status().text
        async with http.stream("GET", "/page/live") as answer, asyncio.timeout(60):
            assert answer.status_code == 200
            told = ""
            async for text in answer.aiter_text():
                told += text
                if "data:" in told and told.endswith("\n\n"):
                    break
    assert "data:" in told
    return {**found, "page: /page/live": told}
