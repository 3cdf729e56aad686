"""The admin interface on a real Fleet: modes, limits, lists, and what is said of refusals."""

import asyncio
import json
import logging
from dataclasses import fields

import pytest

from api.models.limits import LimitsAnswer, LimitsBody
from policy import names
from policy.fleet import ModeChange
from policy.limits import Limits
from tests.api.gate import Gate
from tests.support import ADMIN_HASH, ADMIN_KEY, job_payload, until

ACTOR = f"key {ADMIN_HASH[:8]}"
HEAD = {"Authorization": f"Bearer {ADMIN_KEY}"}


async def entries(stack) -> list[tuple[str, str, str]]:
    """The audit trail, the newest first."""
    answer = (await stack.admin("GET", "audit")).json()
    return [(entry["actor"], entry["what"], entry["reason"]) for entry in answer["audit"]]


async def patch(stack, body, **headers):
    """A change of limits with further headers."""
    given = {**HEAD, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await stack.http.patch(f"{stack.url}/admin/limits", json=body, headers=given)


CONTRADICTIONS = [
    ({"mode": "draining", "stop_running": True}, "say mode maintenance"),
    ({"mode": "normal", "stop_running": True}, "say mode maintenance"),
    ({"mode": "normal", "deadline_seconds": 60}, "say mode draining"),
    ({"mode": "maintenance", "deadline_seconds": 60}, "say mode draining"),
    ({"mode": "maintenance", "on_deadline": "stop"}, "with deadline_seconds"),
    ({"mode": "draining", "on_deadline": "stop"}, "with deadline_seconds"),
    ({"mode": "draining", "deadline_seconds": -1}, "deadline_seconds"),
    ({"mode": "draining", "deadline_seconds": "60"}, "deadline_seconds"),
    ({"mode": "draining", "deadline_seconds": 1e12}, "deadline_seconds"),
    ({"mode": "draining", "on_deadline": "explode"}, "on_deadline"),
    ({"mode": "draining", "reason": "x" * 501}, "reason"),
    ({"mode": "draining", "reason": "\ud800"}, "reason"),
    ({"mode": "draining", "reasons": "x"}, "reasons"),
    ({"mode": "nonsense"}, "mode"),
    ({}, "mode"),
    ([], "dictionary"),
]


@pytest.mark.parametrize(
    ("body", "said"), CONTRADICTIONS, ids=[str(c[0])[:50] for c in CONTRADICTIONS]
)
async def test_what_cannot_be_meant_is_refused_with_what_to_say(body, said, contradicted):
    """422, and nothing has changed."""
    answer = await contradicted.http.put(
        f"{contradicted.url}/admin/draining", content=_json(body), headers={**HEAD, **JSON}
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]
    assert "Value error" not in answer.json()["detail"]


JSON = {"Content-Type": "application/json"}


def _json(body) -> bytes:
    """Half characters included, which httpx would not write."""
    return json.dumps(body).encode()


@pytest.fixture(scope="module")
async def contradicted(tmp_path_factory):
    """A gateway without a Fleet: what is not refused before it would be 503."""
    async with Gate.open(tmp_path_factory.mktemp("gate")) as made:
        yield made


async def test_a_mode_put_twice_is_one_change(penstock):
    """The same mode, reason and deadline: the trail has it once, the first deadline holds."""
    stack = await penstock()
    body = {"mode": "draining", "reason": "disks", "deadline_seconds": 600, "on_deadline": "stop"}
    first = (await stack.admin("PUT", "draining", **body)).json()
    assert (first["mode"], first["reason"], first["on_deadline"]) == ("draining", "disks", "stop")
    assert first["deadline_at"] == pytest.approx(first["since"] + 600)
    for _ in range(3):
        again = (await stack.admin("PUT", "draining", **body)).json()
        assert (again["since"], again["deadline_at"]) == (first["since"], first["deadline_at"])
    assert await entries(stack) == [(ACTOR, "mode draining", "disks")]
    for change in ({"reason": "more disks"}, {"deadline_seconds": 900}, {"on_deadline": "leave"}):
        body |= change
        answer = (await stack.admin("PUT", "draining", **body)).json()
        assert {name: answer[name] for name in change} == change
        assert answer["since"] == first["since"]
    assert len(await entries(stack)) == 4
    for _ in range(2):
        stop = {"mode": "maintenance", "stop_running": True}
        assert (await stack.admin("PUT", "draining", **stop)).status_code == 200
    assert len(await entries(stack)) == 6, "a stop is done each time that it is said"


async def test_a_mode_is_taken_though_no_worker_runs(tmp_path):
    """Durable in Temporal; the answer says that it is taken, and when it holds."""
    async with Gate.open(tmp_path, gateway={"temporal_timeout_seconds": 2}) as gate:
        await gate.client.start_workflow(
            names.FLEET, id=names.FLEET_ID, task_queue=names.TASK_QUEUE
        )
        body = {"mode": "maintenance", "reason": "fire"}
        answer = await gate.http.put(f"{gate.url}/admin/draining", json=body, headers=HEAD)
        assert answer.status_code == 503
        assert "the change was taken" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        history = await gate.client.get_workflow_handle(names.FLEET_ID).fetch_history()
        signals = [
            event.workflow_execution_signaled_event_attributes.signal_name
            for event in history.events
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
        assert signals == ["maintenance"]


async def test_limits_have_an_etag_that_names_all_of_them(penstock):
    """The same limits, the same tag; If-Match is honoured in all of its forms."""
    stack = await penstock()
    answer = await stack.admin("GET", "limits")
    first = answer.headers["etag"]
    assert first.startswith('"')
    assert (await stack.admin("GET", "limits")).headers["etag"] == first
    answer = await patch(stack, {"max_runners": 9}, If_Match=first)
    second = answer.headers["etag"]
    assert (answer.status_code, answer.json()["max_runners"]) == (200, 9)
    assert second != first
    assert (await stack.admin("GET", "limits")).headers["etag"] == second
    for tag in (first, f"W/{second}", second.strip('"'), '""', '"a", "b"', f'"{second}"'):
        answer = await patch(stack, {"max_runners": 1}, If_Match=tag)
        assert answer.status_code == 412, tag
        assert answer.headers["etag"] == second
        assert answer.headers["content-type"] == "application/problem+json"
    for tag in ("*", second, f'"other", {second}'):
        assert (await patch(stack, {"default": 2}, If_Match=tag)).status_code == 200
    assert (await patch(stack, {"max_runners": 6})).headers["etag"] == first
    answer = await patch(stack, {"repos": {"acme/api": 3}, "weights": {"acme/api": 2}})
    assert answer.json()["repos"] == {"acme/api": 3}
    assert (await patch(stack, {"repos": {"acme/api": None}})).json()["repos"] == {}
    answer = await patch(stack, {"default": 10_001})
    assert (answer.status_code, "default" in answer.json()["detail"]) == (422, True)


async def test_of_two_changes_of_the_same_limits_one_is_refused(penstock):
    """At once, again and again: the Fleet compares as it changes, so no change is lost unseen."""
    stack = await penstock()
    for turn in range(10):
        tag = (await stack.admin("GET", "limits")).headers["etag"]
        changes = [{"repos": {f"acme/r{turn}": n}} for n in (1, 2)]
        answers = await asyncio.gather(*(patch(stack, body, If_Match=tag) for body in changes))
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        assert lost.headers["etag"] == won.headers["etag"]
        held = (await stack.admin("GET", "limits")).json()["repos"]
        assert held[f"acme/r{turn}"] == won.json()["repos"][f"acme/r{turn}"]
    assert len(await entries(stack)) == 10


async def test_a_change_that_changes_nothing_is_none(penstock):
    """PATCH is safe to repeat: the trail has what was changed."""
    stack = await penstock()
    for _ in range(3):
        assert (await patch(stack, {"max_runners": 9, "reason": "more"})).status_code == 200
    assert await entries(stack) == [(ACTOR, "limits: max_runners 6 → 9", "more")]


async def test_if_match_can_be_made_a_must(penstock):
    """428 says what is missing."""
    stack = await penstock(gateway={"admin_require_if_match": True})
    answer = await patch(stack, {"max_runners": 9})
    assert (answer.status_code, "If-Match" in answer.json()["detail"]) == (428, True)
    assert (await patch(stack, {"max_runners": 9}, If_Match="*")).status_code == 200


async def pages(stack, path, key) -> list[list]:
    """All pages of a list, by `next`, which the Link header has too."""
    found = []
    while path:
        answer = await stack.http.get(f"{stack.url}{path}", headers=HEAD)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        found.append(told[key])
        path = told["next"]
        link = answer.links.get("next", {}).get("url")
        assert link == path
    return found


async def test_every_list_comes_in_pages(penstock):
    """By the same two words, without a gap or a double, though entries come meanwhile."""
    stack = await penstock(limits={"default": 0}, gateway={"admin_failures_per_minute": 100})
    repos = [f"acme/r{n}" for n in range(5)]
    for n, repo in enumerate(repos):
        assert (await stack.deliver(job_payload("queued", 7001 + n, repo))).status_code == 200

    async def all_known():
        status = await stack.fleet()
        listed = (await stack.admin("GET", "jobs")).json()["jobs"]
        return len(status["repos"]) == len(listed) == 5

    await until(all_known)
    for n in range(5):
        await patch(stack, {"max_runners": 7 + n})
    await stack.admin("PUT", "draining", mode="draining")
    for n in range(5):
        assert (await stack.deliver(job_payload("queued", 8001 + n))).status_code == 503
    by_repo = await pages(stack, "/admin/repos?limit=2", "repos")
    assert [len(page) for page in by_repo] == [2, 2, 1]
    assert [repo["repo"] for page in by_repo for repo in page] == repos
    jobs = [job for page in await pages(stack, "/admin/jobs?limit=2", "jobs") for job in page]
    assert [job["job_id"] for job in jobs] == [str(7001 + n) for n in reversed(range(5))]
    one = await pages(stack, "/admin/jobs?limit=1&repo=Acme/R3", "jobs")
    assert [job["repo"] for page in one for job in page] == ["acme/r3"]
    letters = await pages(stack, "/admin/dead-letters?limit=2", "dead_letters")
    assert [len(page) for page in letters] == [2, 2, 1]
    assert len({letter["id"] for page in letters for letter in page}) == 5
    trail = await pages(stack, "/admin/audit?limit=4", "audit")
    assert [len(page) for page in trail] == [4, 2]
    said = [entry["what"] for page in trail for entry in page]
    assert said[0] == "mode draining"
    assert said[-1] == "limits: max_runners 6 → 7"
    begun = await stack.http.get(f"{stack.url}/admin/audit?limit=2", headers=HEAD)
    await patch(stack, {"max_runners": 20})
    following = begun.json()["next"]
    answer = await stack.http.get(f"{stack.url}{following}", headers=HEAD)
    assert [entry["what"] for entry in answer.json()["audit"]] == said[2:4]
    await refuses_bad_pages(stack, following)


async def refuses_bad_pages(stack, of_another_list: str):
    """422: a number that is none, a cursor that is none, or another list's."""
    foreign = of_another_list.partition("cursor=")[2]
    junk = "WyJqb2JzIiwiQUFBQSJd"  # ["jobs","AAAA"]: our form, and no token of Temporal's
    for name in ("repos", "jobs", "dead-letters", "audit"):
        bad = ["limit=0", "limit=1001", "limit=x", "limit=1.5", "cursor=x", "cursor=W10="]
        bad += [f"cursor={foreign}"] * (name != "audit") + [f"cursor={junk}"]
        bad += [f"cursor={'A' * 2001}", "cursor=%C3%A9"]
        for query in bad:
            answer = await stack.http.get(f"{stack.url}/admin/{name}?{query}", headers=HEAD)
            assert answer.status_code == 422, (name, query, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
    answer = await stack.http.get(f"{stack.url}/admin/jobs?repo=a'b", headers=HEAD)
    assert answer.status_code == 422


async def test_every_refusal_is_a_problem_document(penstock):
    """Of paths and methods that there are not, of bodies that are too large or no JSON."""
    stack = await penstock()
    large = b'{"reason": "' + b"x" * 70_000 + b'"}'
    deep = b"[" * 60_000
    cases = [
        ("GET", "/admin/nowhere", None, 404),
        ("GET", "/nowhere", None, 404),
        ("GET", "/admin/limits/", None, 404),
        ("DELETE", "/admin/limits", None, 405),
        ("TRACE", "/livez", None, 405),
        ("PATCH", "/admin/limits", large, 413),
        ("PATCH", "/admin/limits", b"{", 422),
        ("PATCH", "/admin/limits", b"\xff\xfe", 422),
        ("PATCH", "/admin/limits", deep, 422),
        ("PATCH", "/admin/limits", b'{"max_runners": 1e999}', 422),
        ("PATCH", "/admin/limits", b'{"max_runners": "7"}', 422),
        ("PATCH", "/admin/limits", b'{"max_runners": true}', 422),
        ("PATCH", "/admin/limits", b'{"max_runners": %s}' % (b"9" * 5000), 422),
        ("PATCH", "/admin/limits", b'{"max_repo_share": NaN}', 422),
        ("PATCH", "/admin/limits", b'{"repos": {"acme": 1}}', 422),
        ("PATCH", "/admin/limits", b'{"orgs": {"a/b": 1}}', 422),
        ("GET", "/admin/jobs/acme/api/0", None, 422),
        ("GET", "/admin/jobs/acme/api/7", None, 404),
        ("GET", "/admin/dead-letters/none", None, 404),
    ]
    for method, path, content, status in cases:
        answer = await stack.http.request(
            method, f"{stack.url}{path}", content=content, headers={**HEAD, **JSON}
        )
        case = (method, path, (content or b"")[:40], answer.text[:200])
        assert answer.status_code == status, case
        assert answer.headers["content-type"] == "application/problem+json", case
        told = answer.json()
        assert (told["status"], bool(told["title"]), bool(told["detail"])) == (status, True, True)
    answer = await stack.admin("DELETE", "limits")
    assert answer.headers["allow"] == "GET, PATCH"
    answer = await stack.admin("POST", "dead-letters/x")
    assert answer.headers["allow"] == "DELETE, GET"


async def test_each_change_is_a_line_of_the_log(penstock, caplog):
    """Who, from where, what, why, and how it ended; refused ones too; nobody forges a line."""
    caplog.set_level(logging.INFO, "penstock.audit")
    stack = await penstock()
    forged = 'fire"\nactor="key eve" result=accepted'
    await stack.admin("PUT", "draining", mode="draining", reason=forged)
    await stack.admin("PUT", "draining", mode="draining", reason=forged)
    await patch(stack, {"max_runners": 9, "reason": "more"})
    await patch(stack, {"max_runners": 8}, If_Match='"old"')
    await stack.admin("PUT", "draining", mode="normal", stop_running=True)
    await stack.admin("DELETE", "dead-letters/none")
    await stack.http.put(f"{stack.url}/admin/draining", json={"mode": "normal"})
    await stack.admin("GET", "limits")
    lines = [record.getMessage() for record in caplog.records if record.name == "penstock.audit"]
    who = f'actor="{ACTOR}" key={ADMIN_HASH[:8]} scope=operate'
    nobody = 'actor="" key="" scope=""'
    why = '"fire\\"\\nactor=\\"key eve\\" result=accepted"'
    assert lines == [
        f'client=127.0.0.1 what="mode draining" why={why} {who} result=accepted status=200',
        f'client=127.0.0.1 what="mode draining" why={why} {who} result=unchanged status=200',
        f'client=127.0.0.1 what="limits max_runners 9" why=more {who} result=accepted status=200',
        f'client=127.0.0.1 what="limits max_runners 8" why="" {who} result=refused status=412',
        f'client=127.0.0.1 what="PUT /admin/draining" why="" {who} result=refused status=422',
        f'client=127.0.0.1 what="forget dead letter none" why="" {who} result=refused status=404',
        f'client=127.0.0.1 what="PUT /admin/draining" why="" {nobody} result=refused status=401',
    ]
    assert not [line for line in lines if "\n" in line]


def test_the_answer_names_every_limit_that_there_is():
    """A limit that is added to policy is described here, and can be changed, or this fails."""
    known = {field.name for field in fields(Limits)}
    assert set(LimitsAnswer.model_fields) == known
    assert set(LimitsBody.model_fields) == known | {"reason"}


async def test_a_signal_with_half_a_character_does_not_stop_the_fleet(penstock):
    """JSON allows it, a memo does not: the Fleet goes on, and its answers can be read."""
    stack = await penstock()
    handle = stack.client.get_workflow_handle(names.FLEET_ID)
    await handle.signal("drain", ModeChange("\ud800", float("inf"), actor="\udfff"))
    answer = await stack.admin("GET", "draining")
    assert (answer.status_code, answer.json()["mode"]) == (200, "draining")
    assert (await stack.admin("GET", "audit")).json()["audit"][0]["reason"] == "?"
