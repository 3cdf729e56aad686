"""Small synthetic histories, in Temporal's own export format. Times are seconds after T0."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

from checker import Bounds, Evidence, history, simulated

T0 = 1_800_000_000.0
LIMITS = {"max_runners": 6, "max_repo_share": 0.5, "default": 2, "repos": {}, "orgs": {}}


def payload(value: Any) -> dict[str, Any]:
    """As Temporal's JSON converter writes it."""
    return {
        "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
        "data": base64.b64encode(json.dumps(value).encode()).decode(),
    }


def payloads(*values: Any) -> dict[str, Any]:
    return {"payloads": [payload(value) for value in values]}


class Run:
    """One run of a workflow that is being written."""

    def __init__(self, kind: str, workflow_id: str, given: Any, at: float, run: str = "1") -> None:
        self.raw: list[dict[str, Any]] = []
        self.add(
            "WORKFLOW_EXECUTION_STARTED",
            at,
            workflowType={"name": kind},
            workflowId=workflow_id,
            originalExecutionRunId=f"{workflow_id}#{run}",
            firstExecutionRunId=f"{workflow_id}#{run}",
            input=payloads(given),
        )

    def add(self, kind: str, at: float, **attributes: Any) -> str:
        words = kind.lower().split("_")
        key = words[0] + "".join(word.capitalize() for word in words[1:]) + "EventAttributes"
        number = str(len(self.raw) + 1)
        stamp = datetime.fromtimestamp(T0 + at, UTC).isoformat(timespec="microseconds")
        self.raw.append(
            {
                "eventId": number,
                "eventTime": stamp.replace("+00:00", "Z"),
                "eventType": f"EVENT_TYPE_{kind}",
                key: attributes,
            }
        )
        return number

    def signal(self, name: str, at: float, *messages: Any) -> None:
        self.add("WORKFLOW_EXECUTION_SIGNALED", at, signalName=name, input=payloads(*messages))

    def send(self, target: str, name: str, at: float, message: Any) -> str:
        return self.add(
            "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
            at,
            workflowExecution={"workflowId": target},
            signalName=name,
            input=payloads(message),
        )

    def act(self, name: str, at: float, given: Any, answer: Any, took: float = 0.05) -> None:
        number = self.add(
            "ACTIVITY_TASK_SCHEDULED", at, activityType={"name": name}, input=payloads(given)
        )
        self.add("ACTIVITY_TASK_STARTED", at, scheduledEventId=number, attempt=1)
        self.add(
            "ACTIVITY_TASK_COMPLETED", at + took, scheduledEventId=number, result=payloads(answer)
        )

    @property
    def history(self) -> history.History:
        return history.of({"events": self.raw})


class Story:
    """A fleet, its semaphores and jobs, and the simulator's log, written step by step."""

    def __init__(self, **limits: Any) -> None:
        self.limits = {**LIMITS, **limits}
        self.fleet = Run("Fleet", "fleet", {"limits": self.limits, "mode": "normal"}, -1.0)
        self.semaphores: dict[str, Run] = {}
        self.jobs: dict[str, Run] = {}
        self.more: list[Run] = []
        self.sim: dict[str, list[dict[str, Any]]] = {
            "jobs": [],
            "runners": [],
            "deliveries": [],
            "calls": [],
        }
        self.early: list[float] = []

    def semaphore(self, repo: str, at: float = 0.0) -> Run:
        if repo not in self.semaphores:
            run = Run("RepoSemaphore", f"repo-semaphore/{repo}", {"repo": repo, "epoch": ""}, at)
            run.act("collect_claims", at, {"repos": [repo]}, {"claims": []}, took=0.0)
            self.semaphores[repo] = run
        return self.semaphores[repo]

    def queue(self, job: int, at: float, repo: str = "acme/a", **how: Any) -> None:
        """GitHub queues the job, its workflow starts and asks."""
        key = f"runner-job/{repo}/{job}"
        owner, name = repo.split("/")
        self.sim["jobs"].append(
            {
                "id": job, "owner": owner, "repo": name, "labels": ["self-hosted"],
                "status": "queued", "conclusion": None, "runner_name": None,
                "queued_at": T0 + at, "started_at": None, "completed_at": None,
            }
        )  # fmt: skip
        self.deliver(f"queued-{job}", job, at)
        given = {"repo": repo, "job_id": str(job), "asked": how.get("asked", True)}
        self.jobs[key] = Run("RunnerJob", key, given, at)
        if how.get("asks", True):
            self.ask(job, at, repo, **{k: v for k, v in how.items() if k == "not_before"})

    def ask(self, job: int, at: float, repo: str = "acme/a", not_before: float = -T0) -> None:
        message = {"job": f"runner-job/{repo}/{job}", "not_before": T0 + not_before}
        self.semaphore(repo, at).signal("acquire", at, message)

    def grant(self, job: int, at: float, repo: str = "acme/a", lease: str = "") -> str:
        key, lease = f"runner-job/{repo}/{job}", lease or f"lease-{job}"
        number = self.semaphore(repo).send(key, "granted", at, {"lease": lease})
        if key in self.jobs:
            self.jobs[key].signal("granted", at, {"lease": lease})
        return number

    def lose_task(self, due: float, given_up: float, repo: str = "acme/a") -> None:
        """A workflow task of the semaphore that nobody began, and the one after it."""
        run = self.semaphore(repo)
        for kind, at in (("SCHEDULED", due), ("TIMED_OUT", given_up), ("SCHEDULED", given_up)):
            run.add(f"WORKFLOW_TASK_{kind}", at)
        run.add("WORKFLOW_TASK_STARTED", given_up + 0.1)

    def launch(self, job: int, at: float, repo: str = "acme/a", attempt: int = 1) -> None:
        key, name = f"runner-job/{repo}/{job}", f"penstock-{job}-{attempt}"
        answer = {"name": name, "provider_id": f"p-{name}"}
        self.jobs[key].act("launch_runner", at, {"name": name}, answer)
        self.sim["runners"].append(
            {
                "id": job, "name": name, "scope": repo, "status": "online", "busy": False,
                "registered_at": T0 + at + 0.1, "removed_at": None, "removed_why": None,
            }
        )  # fmt: skip

    def gone(self, job: int, at: float, repo: str = "acme/a", attempt: int = 1) -> None:
        name = f"penstock-{job}-{attempt}"
        self.jobs[f"runner-job/{repo}/{job}"].signal("runner_gone", at, {"runner_name": name})
        for runner in self.sim["runners"]:
            if runner["name"] == name:
                runner["removed_at"] = T0 + at

    def release(self, job: int, at: float, repo: str = "acme/a", lease: str = "") -> None:
        message = {"job": f"runner-job/{repo}/{job}", "lease": lease or f"lease-{job}"}
        self.semaphore(repo).signal("release", at, message)

    def leave(self, job: int, at: float, repo: str = "acme/a") -> None:
        message = {"job": f"runner-job/{repo}/{job}", "lease": ""}
        self.semaphore(repo).signal("release", at, message)

    def close(self, job: int, at: float, repo: str = "acme/a", **result: Any) -> None:
        answer = {"outcome": "completed", "conclusion": "success", "reason": "", **result}
        run = self.jobs[f"runner-job/{repo}/{job}"]
        run.add("WORKFLOW_EXECUTION_COMPLETED", at, result=payloads(answer))
        for known in self.sim["jobs"]:
            if known["id"] == job:
                known |= {"status": "completed", "conclusion": "success", "completed_at": T0 + at}

    def terminate(self, run: Run, at: float, reason: str = "on purpose") -> None:
        run.add("WORKFLOW_EXECUTION_TERMINATED", at, reason=reason)

    def deliver(self, guid: str, job: int, at: float, code: int = 200) -> None:
        self.sim["deliveries"].append(
            {
                "guid": guid, "event": "workflow_job", "action": "queued", "job_id": job,
                "status": "OK" if code < 300 else "failed", "status_code": code,
                "duration": 0.01, "delivered_at": T0 + at + 0.005, "redelivery": False,
                "fault": None,
            }
        )  # fmt: skip

    def call(self, at: float, status: int = 201, fault: str | None = None) -> None:
        self.sim["calls"].append(
            {
                "time": T0 + at, "method": "POST", "path": "/token", "route": "", "status": status,
                "caller": "app", "resource": "core", "remaining": 1, "fault": fault,
            }
        )  # fmt: skip

    def whole(self, job: int, at: float, repo: str = "acme/a", seconds: float = 1.0) -> None:
        """A job that finds a permit free and goes well: launched at +0.1, back at +seconds."""
        self.queue(job, at, repo)
        self.grant(job, at + 0.02, repo)
        self.launch(job, at + 0.05, repo)
        self.gone(job, at + seconds - 0.02, repo)
        self.release(job, at + seconds, repo)
        self.close(job, at + seconds + 0.02, repo)

    def drain_in_a_lost_task(self) -> None:
        """A drain at 10.0 during a task that the Fleet's worker never answers: heard at 16.5."""
        self.fleet.add("WORKFLOW_TASK_STARTED", 6.0)
        self.fleet.add("WORKFLOW_TASK_TIMED_OUT", 16.0)
        self.fleet.signal("drain", 10.0)
        self.fleet.add("WORKFLOW_TASK_SCHEDULED", 16.0)
        self.fleet.add("WORKFLOW_TASK_STARTED", 16.3)
        self.fleet.add("WORKFLOW_TASK_COMPLETED", 16.5)

    def take_task(self, began: float, ended: float, repo: str = "acme/a") -> None:
        """A workflow task of the semaphore; what it decided is yet to be written."""
        self.semaphore(repo).add("WORKFLOW_TASK_STARTED", began)
        self.semaphore(repo).add("WORKFLOW_TASK_COMPLETED", ended)

    def end_fleet(self, at: float, begun: float, spoken: float, **limits: Any) -> None:
        """An operator cancels the Fleet; the next one tells a semaphore something at `spoken`."""
        self.fleet.add("WORKFLOW_EXECUTION_CANCELED", at)
        given = {"limits": {**self.limits, **limits}, "mode": "normal"}
        following = Run("Fleet", "fleet", given, begun, run="2")
        following.send("repo-semaphore/acme/a", "allot", spoken, {"n": 1})
        self.more.append(following)

    def evidence(self, now: float = 200.0, **more: Any) -> Evidence:
        bounds = Bounds(**more.pop("bounds", {}))
        runs = [self.fleet, *self.semaphores.values(), *self.jobs.values(), *self.more]
        log = simulated.read(
            **{name: {name: found} for name, found in self.sim.items()},
            summary={"calls": {"early": self.early}},
        )
        given = {"simulated": log, "now": T0 + now, "bounds": bounds, **more}
        return Evidence([run.history for run in runs], **given)


def good(**limits: Any) -> Story:
    """Three jobs, the third waits for a permit of the first two."""
    story = Story(**limits)
    story.whole(1, 0.0)
    story.whole(2, 0.5, seconds=3.0)
    story.queue(3, 0.6)
    story.grant(3, 1.05)
    story.launch(3, 1.1)
    story.gone(3, 2.0)
    story.release(3, 2.05)
    story.close(3, 2.1)
    return story
