"""The entrypoint of the runner image, with stand-ins for GitHub's config.sh and run.sh."""

import asyncio
import os
import secrets
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.activities.aws import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
ENTRYPOINT = ROOT / "deploy" / "runner" / "entrypoint.py"
SECONDS = 30.0
CONFIG = """#!/bin/sh
echo "$@" >> config.args
echo "$ACTIONS_RUNNER_INPUT_TOKEN" >> config.token
exit "$(cat config.code 2>/dev/null || echo 0)"
"""
RUN = """#!/bin/sh
env > run.env
tr '\\0' '\\n' < "/proc/$PPID/environ" > parent.env
echo running > says
exit 3
"""
LONG = """#!/bin/sh
trap 'echo stopped >> signals; exit 0' TERM
echo running > says
sleep 60 & wait
"""


class Image:
    """A container's home, and the process that is its entrypoint."""

    def __init__(self, folder: Path, aws) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.aws = aws
        self.write("config.sh", CONFIG)
        self.write("run.sh", RUN)
        os.mkfifo(self.home / "says")
        self.said = os.open(self.home / "says", os.O_RDWR | os.O_NONBLOCK)
        self.log = folder / "log"
        self.process: asyncio.subprocess.Process | None = None

    def write(self, name: str, text: str) -> None:
        """A program of GitHub's."""
        (self.home / name).write_text(text)
        (self.home / name).chmod(0o755)

    def read(self, name: str) -> str:
        """What it noted; empty if it never came to that."""
        path = self.home / name
        return path.read_text() if path.exists() else ""

    async def start(self, **environment: str) -> None:
        """The container starts."""
        told = {
            "PATH": os.environ["PATH"],
            **ENVIRONMENT,
            "AWS_ENDPOINT_URL": self.aws.endpoint_url,
            "PENSTOCK_RUNNER_HOME": str(self.home),
            "PENSTOCK_RUNNER_URL": "https://github.test/acme/api",
            "PENSTOCK_RUNNER_NAME": "penstock-1-1",
            "PENSTOCK_RUNNER_LABELS": "self-hosted,linux",
            **environment,
        }
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(ENTRYPOINT)), env=told, stdout=log, stderr=log
            )

    async def running(self) -> None:
        """Until run.sh runs."""
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.said, heard.set)
        try:
            async with asyncio.timeout(SECONDS):
                await heard.wait()
        finally:
            loop.remove_reader(self.said)

    async def end(self) -> int:
        """Its exit code."""
        assert self.process
        async with asyncio.timeout(SECONDS):
            return await self.process.wait()

    async def close(self) -> None:
        """Leave nothing."""
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        os.close(self.said)
        shutil.rmtree(self.home)


@pytest.fixture
async def image(tmp_path, aws):
    """Not started yet."""
    made = Image(tmp_path, aws)
    yield made
    await made.close()


async def kept(aws, value: str) -> str:
    """A parameter with this value; its name."""
    name = f"/penstock/runners/{secrets.token_hex(6)}"
    put = aws.ssm().put_parameter
    await asyncio.to_thread(put, Name=name, Value=value, Type="SecureString")
    return name


async def test_it_registers_runs_one_job_and_hands_its_exit_code_on(image, aws):
    """The secret is gone from AWS; neither it nor any key of AWS is in the job's environment."""
    name = await kept(aws, "a-registration-token")
    await image.start(
        PENSTOCK_RUNNER_MODE="registration",
        PENSTOCK_RUNNER_SECRET_PARAMETER=name,
        PENSTOCK_RUNNER_GROUP="builders",
        AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="/v2/credentials/x",
        MY_OWN="kept",
    )
    assert await image.end() == 3, image.log.read_text()
    assert image.read("config.args").split() == [
        *("--unattended", "--ephemeral", "--disableupdate"),
        *("--url", "https://github.test/acme/api", "--name", "penstock-1-1"),
        *("--labels", "self-hosted,linux"),
        *("--runnergroup", "builders"),
    ]
    assert image.read("config.token") == "a-registration-token\n"
    for seen in (image.read("run.env"), image.read("parent.env")):
        assert "MY_OWN=kept" in seen
        assert "RUNNER_MANUALLY_TRAP_SIG=1" in seen
        assert "AWS_" not in seen
        assert name not in seen
        assert "a-registration-token" not in seen
    found = await asyncio.to_thread(aws.ssm().get_parameters, Names=[name])
    assert found["Parameters"] == []
    assert "a-registration-token" not in image.log.read_text()


async def test_a_jit_configuration_needs_no_registration(image, aws):
    """It goes to run.sh by its environment; from Secrets Manager here."""
    client, name = aws.secretsmanager(), f"penstock/{secrets.token_hex(6)}"
    await asyncio.to_thread(client.create_secret, Name=name, SecretString="j" * 4200)
    await image.start(PENSTOCK_RUNNER_MODE="jit", PENSTOCK_RUNNER_SECRET_ID=name)
    assert await image.end() == 3, image.log.read_text()
    assert image.read("config.args") == ""
    assert f"ACTIONS_RUNNER_INPUT_JITCONFIG={'j' * 4200}\n" in image.read("run.env")
    listed = await asyncio.to_thread(client.list_secrets)
    assert name not in [one["Name"] for one in listed["SecretList"]]


async def test_sigterm_is_passed_on_and_the_runner_deregistered(image, aws):
    """The runner ends first; then it goes off GitHub's list."""
    image.write("run.sh", LONG)
    name = await kept(aws, "a-registration-token")
    await image.start(PENSTOCK_RUNNER_MODE="registration", PENSTOCK_RUNNER_SECRET_PARAMETER=name)
    await image.running()
    assert image.process
    image.process.send_signal(signal.SIGTERM)
    assert await image.end() == 143, image.log.read_text()
    assert image.read("signals") == "stopped\n"
    assert image.read("config.args").splitlines()[-1] == "remove"
    assert image.read("config.token") == 2 * "a-registration-token\n"


async def test_a_runner_that_ignores_sigterm_is_killed(image, aws):
    """After PENSTOCK_RUNNER_STOP_SECONDS; a JIT runner is taken off by Penstock alone."""
    image.write("run.sh", LONG.replace("echo stopped >> signals; exit 0", ""))
    name = await kept(aws, "a-jit-configuration")
    await image.start(
        PENSTOCK_RUNNER_MODE="jit",
        PENSTOCK_RUNNER_SECRET_PARAMETER=name,
        PENSTOCK_RUNNER_STOP_SECONDS="0.2",
    )
    await image.running()
    assert image.process
    image.process.send_signal(signal.SIGTERM)
    assert await image.end() == 143, image.log.read_text()
    assert image.read("config.args") == ""


async def test_a_refused_registration_ends_it(image, aws):
    """With config.sh's exit code; run.sh is not started."""
    (image.home / "config.code").write_text("7")
    name = await kept(aws, "a-registration-token")
    await image.start(PENSTOCK_RUNNER_MODE="registration", PENSTOCK_RUNNER_SECRET_PARAMETER=name)
    assert await image.end() == 7
    assert "could not be registered" in image.log.read_text()
    assert image.read("run.env") == ""


async def test_a_secret_that_is_not_there_ends_it(image):
    """Somebody started the task by hand, or twice."""
    await image.start(
        PENSTOCK_RUNNER_MODE="registration", PENSTOCK_RUNNER_SECRET_PARAMETER="/penstock/none"
    )
    assert await image.end() == 1
    assert "ParameterNotFound" in image.log.read_text()


def test_the_recipe_runs_the_entrypoint_as_no_root():
    """And its base has no default version, for one would be too old in a month."""
    lines = (ENTRYPOINT.parent / "Dockerfile").read_text().splitlines()
    assert "ARG RUNNER_VERSION" in lines
    assert lines[-3:] == [
        "USER runner",
        "WORKDIR /home/runner",
        'ENTRYPOINT ["python3", "-I", "/opt/penstock/entrypoint.py"]',
    ]
