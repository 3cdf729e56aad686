"""The page over HTTP: who sees it, who may change what, and what it never tells."""

import re
import time
from dataclasses import replace

import httpx
import pytest

from api import keys
from api.page.sessions import SESSION_SECONDS, Sessions
from policy.access import AdminKey
from tests.api.gate import SECRET, Gate
from tests.page.support import signed_in, token_in
from tests.support import ADMIN_HASH, ADMIN_KEY, job_payload, until

READ_KEY, READ_HASH = keys.create()
READER = {"name": "rita", "hash": READ_HASH, "scope": "read"}
BUTTONS = 'action="/page/mode"'


@pytest.fixture(scope="module")
async def gate(tmp_path_factory):
    """A gateway whose Fleet does not answer: nobody's figures are needed here."""
    more = {
        "admin_keys": [READER],
        "trusted_proxies": ["127.0.0.0/8"],
        "admin_failures_per_minute": 3,
    }
    async with Gate.open(tmp_path_factory.mktemp("gate"), gateway=more) as made:
        yield made


async def test_the_page_shows_the_fleet(penstock):
    """Signed in: every section, the true numbers, links to the job's pages."""
    stack = await penstock(
        limits={"default": 0}, gateway={"temporal_ui_url": "http://127.0.0.1:8233"}
    )
    for job in (7001, 7002):
        assert (await stack.deliver(job_payload("queued", job))).status_code == 200
    async with signed_in(stack.url) as http:

        async def shown():
            text = (await http.get("/")).text
            return text if "runner-job%2Facme%2Fapi%2F7002" in text else ""

        text = await until(shown)
        assert '<b id="n-waiting">2</b>' in text
        assert "acme/api is at its limit of 0" in text
        assert f'href="{stack.site.url}/acme/api/runs/7001"' in text
        assert 'href="http://127.0.0.1:8233/namespaces/default/workflows/runner-job%2F' in text
        assert "/acme/api/runs/" not in (await http.get("/?q=other")).text

        listed = (await stack.admin("GET", "jobs/waiting?repo=acme/api")).json()
        assert listed["waiting"] == 2
        assert [job["job_id"] for job in listed["jobs"]] == ["7001", "7002"]
        assert {job["limit"] for job in listed["jobs"]} == {"repo"}

        await changes_by_forms(stack, http)
        for job in (7001, 7002):
            await stack.deliver(job_payload("completed", job, conclusion="success"))
            await stack.result("acme/api", job)

        async def ended():
            answer = (await stack.admin("GET", "jobs/ended")).json()["jobs"]
            return answer if len(answer) == 2 else None

        for job in await until(ended):
            assert (job["outcome"], job["conclusion"]) == ("completed", "success")
            assert f"/acme/api/runs/{job['job_id']}" in (await http.get("/")).text


async def test_the_page_says_what_githubs_limits_leave(penstock):
    """Told by the worker with its first launch; for the organization whose App is installed."""
    stack = await penstock()
    (job,) = await stack.site.jobs("acme/api", seconds=0.1)
    await stack.result("acme/api", job)

    async def told():
        return (await stack.fleet())["github"]

    (one,) = [one for one in await until(told) if one["identity"] == "installation:acme"]
    assert 0 < one["remaining"] < one["limit"]
    assert (await stack.admin("GET", "status")).json()["github"] == await told()
    async with signed_in(stack.url) as http:
        left = f"{one['resource']}: {one['remaining']} of {one['limit']} calls left"
        assert left in (await http.get("/")).text


async def changes_by_forms(stack, http):
    """What the forms do, the Fleet has done, in the name of who signed in."""
    text = (await http.get("/page/mode?to=draining")).text
    form = {"token": token_in(text), "to": "draining"}
    answer = await http.post("/page/mode", data=form)
    assert (answer.status_code, "say why" in answer.text) == (422, True)
    answer = await http.post("/page/mode", data={**form, "reason": "<b>kernel</b>"})
    assert "&lt;b&gt;kernel&lt;/b&gt;" in answer.text, "escaped, and shown at once"
    assert (await stack.fleet())["mode"] == "draining"
    await http.post("/page/mode", data={**form, "to": "normal", "reason": "done"})
    assert (await stack.fleet())["mode"] == "normal"

    text = (await http.get("/page/limits")).text
    etag = re.search(r'name="etag" value="([^"]+)"', text)[1].replace("&#34;", '"')
    form = {"token": token_in(text), "etag": etag, "max_runners": "6"}
    answer = await http.post("/page/limits", data={**form, "repos:acme/api": "none"})
    assert (answer.status_code, "is not a whole number" in answer.text) == (422, True)
    answer = await http.post("/page/limits", data=form)
    assert "nothing is changed" in answer.text
    answer = await http.post(
        "/page/limits", data={**form, "max_runners": "9", "orgs+name": "Acme", "orgs+value": "4"}
    )
    assert "max_runners 6 → 9" in answer.text
    assert (await stack.fleet())["limits"]["max_runners"] == 6, "a look changes nothing"
    change = re.search(r'name="change" value="([^"]+)"', answer.text)[1].replace("&#34;", '"')
    form = {"token": form["token"], "etag": etag, "change": change, "reason": "two machines"}
    answer = await http.post("/page/limits/apply", data=form)
    assert "these limits hold now" in answer.text
    limits = (await stack.fleet())["limits"]
    assert (limits["max_runners"], limits["orgs"]) == (9, {"acme": 4})
    answer = await http.post("/page/limits/apply", data=form)
    assert (answer.status_code, "meanwhile" in answer.text) == (412, True)
    entries = (await stack.admin("GET", "audit")).json()["audit"]
    actor = f"key {ADMIN_HASH[:8]}"
    assert [(e["actor"], e["reason"]) for e in entries[:3]] == [
        (actor, "two machines"),
        (actor, "done"),
        (actor, "<b>kernel</b>"),
    ]


async def test_nobody_sees_anything_without_signing_in(gate):
    """The form alone; no figure, no name of a repository; the stream answers 401."""
    answer = await gate.http.get(gate.url)
    assert answer.status_code == 200
    assert 'action="/page/sign-in"' in answer.text
    assert "Permits" not in answer.text
    assert (await gate.http.get(f"{gate.url}/page/live")).status_code == 401
    for path in ("/page/mode", "/page/limits"):
        assert (await gate.http.get(gate.url + path)).headers["location"] == "/"
        assert (await gate.http.post(gate.url + path)).status_code == 401
    assert (await gate.http.post(f"{gate.url}/page/limits/apply")).status_code == 401
    assert (await gate.http.get(f"{gate.url}/page/nothing.js")).status_code == 404


async def test_without_a_key_the_page_says_how_to_make_one(tmp_path):
    """And shows nothing."""
    async with Gate.open(tmp_path, gateway={"admin_key_hashes": []}) as alone:
        answer = await alone.http.get(alone.url)
        assert "penstock admin-key create" in answer.text
        assert "<form" not in answer.text
        answer = await alone.http.post(f"{alone.url}/page/sign-in", data={"key": ADMIN_KEY})
        assert answer.status_code == 403


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_cookie_is_for_this_page_alone(gate, scheme):
    """HttpOnly, SameSite=Strict, for eight hours; Secure and bound to the host by https."""
    proxy = {"X-Forwarded-Proto": scheme}
    answer = await gate.http.post(
        f"{gate.url}/page/sign-in", data={"key": ADMIN_KEY}, headers=proxy
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert f"Max-Age={SESSION_SECONDS:.0f}" in cookie
    by_https = scheme == "https"
    assert ("Secure" in cookie) == by_https
    assert cookie.startswith("__Host-penstock=") == by_https
    assert ADMIN_KEY not in cookie
    assert ADMIN_HASH[:12] not in cookie


async def test_wrong_keys_are_limited_as_at_admin(gate):
    """Together with those at /admin, for each address; then a right key is not heard either."""

    async def guess(address: str, key: str) -> httpx.Response:
        return await gate.http.post(
            f"{gate.url}/page/sign-in", data={"key": key}, headers={"X-Forwarded-For": address}
        )

    for _ in range(2):
        answer = await guess("192.0.2.7", "pen_wrong")
        assert (answer.status_code, "not known here" in answer.text) == (401, True)
    await gate.http.get(
        f"{gate.url}/admin/status",
        headers={"X-Forwarded-For": "192.0.2.7", "Authorization": "Bearer pen_wrong"},
    )
    answer = await guess("192.0.2.7", ADMIN_KEY)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (429, True)
    assert "set-cookie" not in answer.headers
    assert (await guess("192.0.2.8", ADMIN_KEY)).status_code == 303


async def test_who_may_look_has_no_buttons(gate):
    """Scope read: no forms that change, and no change if they are sent all the same."""
    async with signed_in(gate.url, READ_KEY) as http:
        assert BUTTONS not in (await http.get("/")).text
        assert 'name="token"' not in (await http.get("/page/limits")).text
        assert (await http.get("/page/mode")).status_code == 403
        for path in ("/page/mode", "/page/limits", "/page/limits/apply"):
            assert (await http.post(path, data={"to": "draining"})).status_code == 403
    async with signed_in(gate.url) as http:
        assert BUTTONS in (await http.get("/")).text


async def test_a_form_of_another_site_does_nothing(gate):
    """Without the session's own token; with another's; as the browser says it comes from afar."""
    async with signed_in(gate.url) as one, signed_in(gate.url) as other:
        token = token_in((await one.get("/page/mode?to=normal")).text)
        form = {"to": "draining", "reason": "x"}
        for data in (form, {**form, "token": "0" * 64}, {**form, "token": "é"}):
            assert (await one.post("/page/mode", data=data)).status_code == 403
        assert (await other.post("/page/mode", data={**form, "token": token})).status_code == 403
        data, far = {**form, "token": token}, {"Sec-Fetch-Site": "cross-site"}
        assert (await one.post("/page/mode", data=data, headers=far)).status_code == 403
        assert (await one.post("/page/mode", json=data)).status_code == 415
        assert (await one.post("/page/mode", data=data)).status_code == 503, "there is no Fleet"
        await one.post("/page/sign-out", data={"out": "1"})
        assert 'action="/page/sign-in"' in (await one.get("/")).text


def test_a_cookie_is_good_while_its_key_is():
    """Not forged, not changed, not late; a key that is replaced or removed ends its sessions."""
    ann = AdminKey("ann", ADMIN_HASH)
    sessions = Sessions([ann], [SECRET])
    value = sessions.begin(ann, 1000.0)
    found = sessions.find(value, 1001.0)
    assert found
    assert (found.caller.actor, found.caller.scope) == ("key ann", "operate")
    assert Sessions([ann], ["a newer one", SECRET]).find(value, 1001.0)
    bob = AdminKey("bob", READ_HASH, "read")
    for others in (
        Sessions([replace(ann, hash=READ_HASH)], [SECRET]),
        Sessions([bob], [SECRET]),
        Sessions([ann], ["another secret"]),
        Sessions([replace(ann, not_after=1000.5)], [SECRET]),
    ):
        assert others.find(value, 1001.0) is None
    assert sessions.find(value, 1000.0 + SESSION_SECONDS) is None
    parts = value.split(".")
    for place in range(len(parts)):
        changed = [*parts]
        changed[place] = changed[place][:-1] + ("1" if changed[place][-1] != "1" else "2")
        assert sessions.find(".".join(changed), 1001.0) is None, changed
    for nonsense in ("", ".", "....", "1.2.3.4.é", value + "0"):
        assert sessions.find(nonsense, time.time()) is None
    lesser = Sessions([replace(ann, scope="read")], [SECRET]).find(value, 1001.0)
    assert lesser
    assert not lesser.may_operate, "the scope is the key's own of today"


async def test_the_page_loads_what_is_ours_alone(gate):
    """A policy without exceptions, no inline script or style, no other host, no secret."""
    async with signed_in(gate.url) as http:
        paths = ["/", "/page/limits", "/page/mode?to=maintenance"]
        answers = [await http.get(path) for path in paths]
        for answer in [*answers, await gate.http.get(gate.url)]:
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
            assert "form-action 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert re.findall(r"<script(?![^>]*src=)|<style|style=|\son\w+=", answer.text) == []
            loaded = re.findall(r'(?:src|link [^>]*href)="([^"]+)"', answer.text)
            assert set(loaded) <= {"/page/style.css", "/page/script.js", "/page/icon.svg"}
            for secret in (SECRET, ADMIN_KEY, ADMIN_HASH, READ_HASH):
                assert secret not in answer.text
        for name, kind in (("style.css", "text/css"), ("script.js", "text/javascript")):
            part = await gate.http.get(f"{gate.url}/page/{name}")
            assert part.headers["content-type"].startswith(kind)
            assert "http" not in part.text.replace("http-equiv", "")
    paths = (await gate.http.get(f"{gate.url}/openapi.json")).json()["paths"]
    assert not [path for path in paths if path == "/" or path.startswith("/page")]
