"""From the configuration to GitHub: credentials by file, by value, from AWS; stores by name."""

import asyncio

import pytest

import wiring
import wiring_metrics
from activities.clients.github import GitHubClock
from activities.clients.sealing import new_key
from activities.token_store import MemoryStore
from settings import InvalidSettings

REPO = "acme/api"


async def minted(settings) -> str:
    """A token by this configuration."""
    side = await wiring.github_of(settings)
    try:
        return (await side.client.registration_token(REPO)).value
    finally:
        await side.close()


async def test_an_apps_key_may_lie_at_aws(hub, aws):
    """In Secrets Manager, by name; one that is not there is said before anything starts."""
    await asyncio.to_thread(
        aws.secretsmanager().create_secret, Name="penstock/app", SecretString=hub.key
    )
    of_aws = {"region": aws.region, "endpoint_url": aws.endpoint_url}
    github = {"private_key_file": None, "private_key_secret": "penstock/app"}
    assert await minted(hub.site.settings(aws=of_aws, github=github))
    github["private_key_secret"] = "penstock/none"
    with pytest.raises(InvalidSettings, match="penstock/none: ResourceNotFound") as caught:
        await minted(hub.site.settings(aws=of_aws, github=github))
    assert "PRIVATE" not in str(caught.value)


async def test_a_persons_token_may_lie_there_too(hub, aws):
    """And encryption keys."""
    client, key = aws.secretsmanager(), new_key()
    token = (await hub.call("POST", "pats"))["token"]
    for name, value in (("penstock/pat", token), ("penstock/keys", f"one {key}\n")):
        await asyncio.to_thread(client.create_secret, Name=name, SecretString=value)
    of_aws = {"region": aws.region, "endpoint_url": aws.endpoint_url}
    github = {"private_key_file": None, "app_id": "", "token_secret": "penstock/pat"}
    assert await minted(hub.site.settings(aws=of_aws, github=github))
    tokens = {"store": "dynamodb", "encryption_keys_secret": "penstock/keys"}
    made = hub.site.settings(aws=of_aws, tokens=tokens)
    assert (await wiring.sealer_of(made)).current == "one"


async def test_a_store_that_cannot_be_is_said(hub, tmp_path):
    """Its keys are wrong, or a port is taken."""
    keys, clock = tmp_path / "keys", GitHubClock(hub.clock)
    keys.write_text("one a-canary\n")
    tokens = {"store": "dynamodb", "encryption_keys_file": keys}
    of_aws = {"region": "eu-central-1", "endpoint_url": "http://127.0.0.1:9"}
    with pytest.raises(InvalidSettings, match="'one' is not 32 bytes") as caught:
        await wiring.store_of(hub.site.settings(tokens=tokens, aws=of_aws), clock)
    assert "canary" not in str(caught.value)
    assert isinstance(await wiring.store_of(hub.site.settings(), clock), MemoryStore)


async def test_a_metrics_port_that_is_taken_is_said(hub):
    """By its key."""
    port = int(hub.site.url.rsplit(":", 1)[1])
    settings = hub.site.settings(worker={"metrics_port": port})
    side = await wiring.github_of(settings)
    with pytest.raises(InvalidSettings, match=r"worker\.metrics_port"):
        async with wiring_metrics.exposed(settings, list):
            pass
    await side.close()
