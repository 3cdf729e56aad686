"""`penstock doctor`: is all that Penstock needs there, and what to do where it is not."""

from collections.abc import AsyncIterator
from pathlib import Path

import typer
from rich.markup import escape

import settings as configuration
from activities.clients.github.survey import Survey
from activities.token_store import StoreUnavailable
from commands.checks import aws, github, temporal
from commands.checks.finding import Finding
from commands.common import CONFIG, OUTPUT, run
from commands.exits import FAILED
from commands.output import console, is_data, print_data, print_line
from embedded.connect import NoTemporal, connect
from settings import InvalidSettings, Settings
from wiring import github_of

SIGNS = {
    "good": "[green]good[/]",
    "warning": "[yellow]warn[/]",
    "bad": "[red]bad [/]",
    "skipped": "skip",
}


def doctor(config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """Check credentials, permissions, webhook, clock, limits, Temporal and AWS. Changes nothing.

    Exit 1 if anything is bad; warnings do not count.
    """
    settings = configuration.load(config)
    quiet = is_data(output)
    findings = run(_all(settings, quiet=quiet))
    bad = sum(finding.state == "bad" for finding in findings)
    if quiet:
        print_data(output, [vars(finding) for finding in findings])
    else:
        print_line(f"{bad} bad" if bad else "nothing is bad")
    if bad:
        raise typer.Exit(FAILED)


async def _all(settings: Settings, *, quiet: bool) -> list[Finding]:
    found: list[Finding] = []
    async for finding in examine(settings):
        found.append(finding)
        if not quiet:
            said = escape(f"{finding.what}: {finding.said}")
            console.print(f"{SIGNS[finding.state]} {said}", highlight=False, soft_wrap=True)
    return found


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """All findings, part after part."""
    try:
        settings.check_secrets()
        yield Finding("configuration", "good", "complete")
    except InvalidSettings as error:
        yield Finding("configuration", "bad", str(error))
    client, silence = None, ""
    try:
        client = await connect(settings.state_dir)
    except NoTemporal as error:
        silence = str(error)
    # The workers' pauses are theirs alone where the token store is in memory.
    paused = await temporal.paused(client) if client else {}
    try:
        side = await github_of(settings)
    except InvalidSettings as error:
        yield Finding("GitHub", "skipped", f"cannot be asked: {error}")
    else:
        try:
            if side.credentials.app_id or side.credentials.token:
                survey, scope = Survey(side.client), settings.github.scope
                async for finding in github.look(survey, scope, paused):
                    yield finding
            else:
                yield Finding("GitHub", "skipped", "there are no credentials to ask with")
        except StoreUnavailable as error:
            said = f"{error}: no call is made without the token store, see AWS below"
            yield Finding("GitHub", "bad", said)
        finally:
            await side.close()
    if client:
        async for finding in temporal.look(client, settings):
            yield finding
    else:
        yield Finding("Temporal", "bad", silence)
    async for finding in aws.look(settings):
        yield finding
