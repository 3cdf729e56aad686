"""What the templates show of a reading: chosen, sorted and put into words. No I/O, no clock."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from api.page import charts
from api.page.charts import Chart, Series
from api.page.feed import Lists, Reading
from api.page.history import HOUR, History
from api.page.view import View
from policy.limits import Limits, org_of
from policy.priority import PRIORITIES

REPOS_SHOWN = 40
ORGS_SHOWN = 20
TRIGGERS = {
    "depth": "jobs that wait",
    "flood": "jobs that wait, tenfold",
    "concurrency": "permits in use",
    "errors": "launches that fail",
}


@dataclass(frozen=True)
class Links:
    """Where a job is to be seen elsewhere."""

    github: str
    temporal: str  # empty: its web UI is not known
    namespace: str

    def job(self, repo: str, job_id: str) -> str:
        """At GitHub, which knows the run of a job by the job's number alone."""
        return f"{self.github}/{quote(repo)}/runs/{quote(job_id)}"

    def workflow(self, workflow_id: str) -> str:
        """In Temporal's web UI; empty if that is not known."""
        if not self.temporal:
            return ""
        base = self.temporal.rstrip("/")
        return f"{base}/namespaces/{quote(self.namespace)}/workflows/{quote(workflow_id, safe='')}"


def figures(
    reading: Reading,
    lists: Lists,
    view: View,
    refusals: dict[str, float],
) -> dict[str, Any]:
    """All that the sections show, but for the charts."""
    shown: dict[str, Any] = {
        "at": reading.at,
        "mode": reading.mode,
        "trouble": reading.trouble,
        "status": reading.status,
        "drain": reading.drain,
        "view": view,
        "lists": lists,
        "letters": reading.letters,
        "letters_trouble": reading.letters_trouble,
        "recovery": reading.recovery,
        "refusals": sorted(refusals.items()),
    }
    told = reading.status
    if told is None:
        return shown
    repos = _repos(told, view)
    pages = max(1, -(-len(repos) // REPOS_SHOWN))
    page = min(view.page, pages)
    limits = told["limits"]
    share = share_of(limits)
    return {
        **shown,
        "limits": limits,
        "share": share,
        "repos": [
            _repo(repo, limits, share)
            for repo in repos[(page - 1) * REPOS_SHOWN : page * REPOS_SHOWN]
        ],
        "found": len(repos),
        "page": page,
        "pages": pages,
        "by_priority": _by_priority(repos),
        "held_up": sum(one["waiting"] for one in repos)
        - sum(g["count"] for one in repos for g in one["waiting_by_priority"]),
        "gauge": _gauge(told),
        "triggers": _triggers(told["pressure"]),
        "orgs": _orgs(told)[:ORGS_SHOWN],
    }


def share_of(limits: dict[str, Any]) -> int:
    """The most permits that one repository may have."""
    return Limits(limits["max_runners"], limits["max_repo_share"]).share_cap


def _repos(told: dict[str, Any], view: View) -> list[dict[str, Any]]:
    """Those searched for: who waits first, then who runs, then by name."""
    found = [one for one in told["repos"] if view.shows(one["repo"])]
    found.sort(key=lambda one: (not one["waiting"], -one["waiting"], -one["running"], one["repo"]))
    return found


def _repo(repo: dict[str, Any], limits: dict[str, Any], share: int) -> dict[str, Any]:
    own = limits["repos"].get(repo["repo"], limits["default"])
    return {**repo, "own": own, "cells": charts.cells(repo["running"], repo["limit"], share)}


def _by_priority(repos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name in PRIORITIES:
        groups = [g for one in repos for g in one["waiting_by_priority"] if g["priority"] == name]
        oldest = max((g["oldest_wait_seconds"] for g in groups), default=0.0)
        rows.append({"priority": name, "count": sum(g["count"] for g in groups), "oldest": oldest})
    return rows


def _gauge(told: dict[str, Any]) -> dict[str, Any]:
    """Lengths of a bar of 100, for in use and capacity of the limit."""
    limit, capacity, running = told["limits"]["max_runners"], told["capacity"], told["running"]
    most = max(limit, running, 1)
    return {
        "used": round(100 * running / most, 1),
        "capacity": round(100 * capacity / most, 1),
        "limit": round(100 * limit / most, 1),
    }


def _triggers(pressure: dict[str, Any]) -> list[dict[str, Any]]:
    launches, depth = pressure["launches"], pressure["max_queue_depth"]
    samples = launches["ok"] + launches["failed"]
    rate = f"{100 * launches['failed'] / samples:.1f} %" if samples else "–"
    percent = pressure["max_concurrency_percent"]
    used = pressure["triggers"]["concurrency"]["load"] * percent
    said = {
        "depth": (f"{pressure['waiting']}", f"{depth}"),
        "flood": (f"{pressure['waiting']}", f"{10 * depth}"),
        "concurrency": (f"{used:.0f} %", f"{percent:g} %"),
        "errors": (rate, f"{100 * pressure['max_error_rate']:g} %"),
    }
    return [
        {
            "name": name,
            "what": TRIGGERS.get(name, name),
            "now": said.get(name, ("", ""))[0],
            "threshold": said.get(name, ("", ""))[1],
            "bar": round(min(100.0, 50 * one["load"]), 1),
            **one,
        }
        for name, one in pressure["triggers"].items()
    ]


def _orgs(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Each organization's permits, GitHub's pause if there is one, what its limits leave.

    Those paused come first.
    """
    limits, cooling = told["limits"], told["cooling"]
    left: dict[str, list[dict[str, Any]]] = {}
    for one in told.get("github", []):
        kind, _, org = one["identity"].partition(":")
        if kind == "installation":
            left.setdefault(org, []).append(one)
    rows: dict[str, dict[str, Any]] = {}
    for name in (*limits["orgs"], *cooling, *(org_of(one["repo"]) for one in told["repos"])):
        rows.setdefault(
            name,
            {"org": name, "running": 0, "waiting": 0, "limit": limits["orgs"].get(name),
             "until": cooling.get(name), "left": left.get(name, [])},
        )  # fmt: skip
    for one in told["repos"]:
        row = rows[org_of(one["repo"])]
        row["running"] += one["running"]
        row["waiting"] += one["waiting"]
    return sorted(
        rows.values(), key=lambda row: (row["until"] is None, -row["waiting"], row["org"])
    )


def hour(history: History, now: float) -> list[Chart]:
    """The pictures of the last hour."""
    samples = list(history.samples)
    times = [one.at for one in samples]

    def made(id_: str, title: str, unit: str, *series: Series) -> Chart:
        return charts.chart(id_, title, unit, times, series, now=now, seconds=HOUR)

    return [
        made(
            "load", "Running and waiting", "",
            Series("running", "a", [one.running for one in samples]),
            Series("waiting", "b", [one.waiting for one in samples]),
            Series("capacity", "c", [one.capacity for one in samples]),
        ),
        made(
            "wait", "Wait of the jobs that ended", " s",
            Series("median", "a", [one.wait_p50 for one in samples]),
            Series("95 %", "b", [one.wait_p95 for one in samples]),
        ),
        made(
            "webhooks", "Webhooks here, each 15 s", "",
            Series("taken", "a", [one.taken for one in samples]),
            Series("refused", "bad", [one.refused for one in samples]),
        ),
        made(
            "launches", "Launches, five minutes", "",
            Series("well", "a", [one.launched for one in samples]),
            Series("failed", "bad", [one.failed for one in samples]),
        ),
        made(
            "github", "Calls to GitHub, tokens first of all, each 15 s", "",
            Series("calls", "a", [one.calls for one in samples]),
        ),
    ]  # fmt: skip


def lasting(seconds: float | None) -> str:
    """A time span for people.

    >>> [lasting(s) for s in (0.4, 59, 61, 3700, 90000)]
    ['0 s', '59 s', '1 min', '1 h 1 min', '1 d 1 h']
    """
    if seconds is None:
        return "unknown"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (
            f" {whole % 60} s" if whole < 600 and whole % 60 > 1 else ""
        )
    if whole < 86400:
        return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 >= 60 else "")
    return f"{whole // 86400} d" + (f" {whole % 86400 // 3600} h" if whole % 86400 >= 3600 else "")


def clock(epoch: float) -> str:
    """A moment of the day, in UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%H:%M:%S")


def moment(epoch: float) -> str:
    """A moment as programs write it."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
