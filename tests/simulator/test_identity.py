"""Who may call: App JWTs, installation tokens, PATs."""

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.simulator.helpers import CLIENT_ID, Sim


async def get_app(sim: Sim, token: str) -> tuple[int, str]:
    answer = await sim.bearer(token, "GET", "/app")
    return answer.status_code, answer.json().get("message", "")


@pytest.mark.parametrize("iss", ["4242", CLIENT_ID])
async def test_the_app_signs_in_by_app_id_or_client_id(sim: Sim, iss: str) -> None:
    assert (await get_app(sim, sim.jwt(iss=iss)))[0] == 200


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": 700}, "too far in the future"),
        ({"exp": -1}, "must be a numeric value representing the future time"),
        ({"iat": 90}, "'Issued at' claim"),
        ({"iss": "4243"}, "'Issuer' claim"),
        ({"exp": 500.5}, "must be a numeric value"),
    ],
)
async def test_a_wrong_claim_is_refused_in_githubs_words(
    sim: Sim, claims: dict[str, Any], words: str
) -> None:
    status, message = await get_app(sim, sim.jwt(**claims))
    assert status == 401
    assert words in message


async def test_a_minute_of_skew_is_tolerated(sim: Sim) -> None:
    assert (await get_app(sim, sim.jwt(iat=50)))[0] == 200


async def test_a_missing_claim_is_refused(sim: Sim) -> None:
    token = jwt.encode({"iss": "4242", "iat": int(time.time())}, sim.key, "RS256")
    assert (await get_app(sim, token))[0] == 401


async def test_a_signature_by_another_key_is_refused(sim: Sim, other_key: RSAPrivateKey) -> None:
    assert await get_app(sim, sim.jwt(key=other_key)) == (
        401,
        "A JSON web token could not be decoded",
    )


async def test_hs256_with_any_secret_is_refused(sim: Sim) -> None:
    now = int(time.time())
    claims = {"iss": "4242", "iat": now, "exp": now + 60}
    token = jwt.encode(claims, "x" * 64, "HS256")
    assert (await get_app(sim, token))[0] == 401


async def test_githubs_clock_may_differ_and_its_date_header_tells(sim: Sim) -> None:
    await sim.control("clock", skew_seconds=-300)
    answer = await sim.bearer(sim.jwt(), "GET", "/app")
    assert answer.status_code == 401
    assert "'Issued at'" in answer.json()["message"]
    assert (await get_app(sim, sim.jwt(iat=-330, exp=200)))[0] == 200


async def test_an_installation_token_dies_after_an_hour(sim: Sim) -> None:
    token = await sim.token()
    await sim.control("clock", advance_seconds=3599)
    assert (await sim.bearer(token, "GET", "/orgs/acme/actions/runners")).status_code == 200
    await sim.control("clock", advance_seconds=2)
    answer = await sim.bearer(token, "GET", "/orgs/acme/actions/runners")
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


async def test_a_token_has_the_form_of_2026(sim: Sim) -> None:
    token = await sim.token()
    assert token.startswith("ghs_4242_")
    assert len(token) > 400
    assert token.count(".") == 2


async def test_a_token_reaches_its_own_organization_only(sim: Sim) -> None:
    await sim.install("other", repositories=["lib"])
    token = await sim.token("acme")
    for path in ("/orgs/other/actions/runners", "/repos/other/lib/actions/runners"):
        assert (await sim.bearer(token, "GET", path)).status_code == 404


async def test_a_token_can_be_narrowed_to_repositories_and_permissions(sim: Sim) -> None:
    await sim.install("acme")
    for repo in ("site", "shop"):
        await sim.job(repo=repo)
    token = await sim.token(repositories=["site"], permissions={"actions": "read"})
    runs = "/repos/acme/{}/actions/runs"
    assert (await sim.bearer(token, "GET", runs.format("site"))).status_code == 200
    assert (await sim.bearer(token, "GET", runs.format("shop"))).status_code == 404
    refused = await sim.bearer(token, "GET", "/repos/acme/site/actions/runners")
    assert refused.status_code == 403
    assert refused.json()["message"] == "Resource not accessible by integration"


async def test_a_token_for_what_the_app_does_not_have_is_refused(sim: Sim) -> None:
    number = await sim.install()
    path = f"/app/installations/{number}/access_tokens"
    assert (
        await sim.app("POST", path, json={"permissions": {"pages": "write"}})
    ).status_code == 422
    assert (await sim.app("POST", path, json={"repositories": ["nope"]})).status_code == 422


async def test_installations_are_found_by_org_and_by_repository(sim: Sim) -> None:
    number = await sim.install(repositories=["site"])
    for path in (
        "/orgs/acme/installation",
        "/orgs/ACME/installation",
        "/repos/acme/site/installation",
    ):
        assert (await sim.app("GET", path)).json()["id"] == number
    assert (await sim.app("GET", "/orgs/nobody/installation")).status_code == 404
    assert (await sim.app("GET", "/repos/acme/hidden/installation")).status_code == 404


async def test_a_pat_reaches_everything_or_one_organization(sim: Sim) -> None:
    await sim.install("acme")
    await sim.install("other")
    wide = (await sim.control("pats"))["token"]
    narrow = (await sim.control("pats", org="acme", token="ghp_mine"))["token"]
    path = "/orgs/other/actions/runners"
    assert (await sim.bearer(wide, "GET", path)).status_code == 200
    assert (await sim.bearer(narrow, "GET", path)).status_code == 404


async def test_each_kind_of_caller_keeps_to_its_own_paths(sim: Sim) -> None:
    token = await sim.token()
    assert (await sim.bearer(token, "GET", "/app/hook/deliveries")).status_code == 401
    assert (await sim.app("GET", "/orgs/acme/actions/runners")).status_code == 401
    assert (await sim.http.get("/orgs/acme/actions/runners")).status_code == 401
    assert (await sim.bearer("ghs_wrong", "GET", "/rate_limit")).status_code == 401


async def test_every_secret_given_out_is_one_that_tests_look_for(sim: Sim) -> None:
    """Letter by letter; an installation token in its parts, between which there are signs."""
    given = [await sim.token(), (await sim.control("pats"))["token"]]
    given.append((await sim.jit()).json()["encoded_jit_config"])
    path = "/repos/acme/site/actions/runners/registration-token"
    given.append((await sim.api("POST", path)).json()["token"])
    looked_for = (await sim.look("secrets"))["secrets"]
    for secret in given:
        assert any(word in secret for word in looked_for), secret[:4]
    assert set(given[1:]) <= set(looked_for)
