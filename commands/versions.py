"""`penstock versions` and `penstock promote`: upgrade without a stop (docs/operations.md)."""

from pathlib import Path
from typing import Any

import typer

import settings as configuration
from commands.common import CONFIG, OUTPUT, run
from commands.exits import TOO_LATE
from commands.output import is_data, print_data, print_table, say
from embedded.connect import connect
from embedded.deployment import Version
from embedded.deployment import promote as promote_at
from embedded.deployment import versions as versions_at
from settings import InvalidSettings, Settings

BUILD = typer.Argument("", help="The build id (default: worker.build_id of the configuration).")


def versions(config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """The builds of the workers: which is current, and which still have jobs of their own.

    Workers of a build may be stopped once it is drained, or has no open workflows for minutes.
    """
    settings = _versioned(config)

    async def work() -> list[Version]:
        client = await connect(settings.state_dir)
        return await versions_at(client, settings.worker.deployment_name)

    found = run(work())
    if is_data(output):
        print_data(output, [vars(one) for one in found])
        return
    rows: list[tuple[Any, ...]] = [(v.build_id, v.status, v.open_workflows) for v in found]
    print_table(("build", "status", "open workflows"), rows)


def promote(
    build: str = BUILD,
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    wait: float = typer.Option(
        60.0, min=0.0, help="Seconds to wait for a worker of this build, and for the move."
    ),
) -> None:
    """Make a build of the workers the current one: new jobs begin on it.

    Running jobs stay with the build they began on; Fleet and semaphores move. Back to the former
    build by the same command. Exit 1, and nothing is changed, if no worker of the build serves;
    exit 4 if not all have moved in time.
    """
    settings = _versioned(config)
    build = build or settings.worker.build_id

    async def work() -> int:
        client = await connect(settings.state_dir)
        return await promote_at(client, settings.worker.deployment_name, build, wait)

    left = run(work())
    answer = {"deployment": settings.worker.deployment_name, "build_id": build, "left": left}
    said = f"build {build} is current: new jobs begin on it"
    if left:
        said += (
            f"; {left} of Fleet and semaphores have not moved yet: they need a worker of the build"
            " they are on, and do so with their next message"
        )
    say(output, answer, said)
    if left:
        raise typer.Exit(TOO_LATE)


def _versioned(config: Path | None) -> Settings:
    settings = configuration.load(config)
    if not settings.worker.deployment_name:
        raise InvalidSettings(
            "worker.deployment_name is missing: workers have no versions without it"
            " (docs/operations.md)"
        )
    return settings
