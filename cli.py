"""The command line: `penstock`. Wiring only; each command is a few lines.

Exit codes: 0 done · 1 it failed · 2 wrong usage or configuration, nothing was started · 3 Temporal
or the Fleet cannot be reached · 4 a deadline passed.
"""

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import typer
from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError

import settings as configuration
import worker as workers
from activities.clients import dynamodb_table
from activities.clients.aws import AwsError
from activities.clients.sealing import new_key
from activities.redaction import guard_logs, redacted
from api import keys
from api.app import VERSION
from api.fleet_client import FleetUnavailable, LimitsRefused
from commands import dead_letters, fleet
from commands.arguments import number_of, pair, whole_number
from commands.common import CONFIG, OUTPUT, REASON, actor, ask, run
from commands.dev import run_dev, until_stopped
from commands.doctor import doctor
from commands.drain import drain
from commands.explain import explain_job
from commands.output import as_json, console, print_json, print_table, say
from demo.run import run_demo
from demo.site import SiteError
from embedded import stack
from embedded.connect import NoTemporal, connect
from embedded.leave import leave
from embedded.register import register_search_attributes
from embedded.temporal_server import TemporalServerError
from policy import names
from policy.fleet import ModeChange
from policy.limits import LimitsChange
from settings import InvalidSettings
from wiring import aws_of

FAILED, USAGE, UNREACHABLE = 1, 2, 3

app = typer.Typer(
    help="Admission control for GitHub self-hosted runners, on durable workflows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="The configuration.", no_args_is_help=True)
token_key_app = typer.Typer(help="Keys that seal tokens in a shared store.", no_args_is_help=True)
key_app = typer.Typer(help="Keys for the admin interface.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(key_app, name="admin-key")
app.add_typer(token_key_app, name="token-key")
app.add_typer(fleet.app, name="fleet")
app.add_typer(dead_letters.app, name="dead-letters")


def main() -> NoReturn:
    """The console script. Leaves by os._exit (embedded/leave.py says why)."""
    code = 0
    try:
        app()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else FAILED
    except (InvalidSettings, SiteError, TemporalServerError) as error:
        code = _fail(error, USAGE if isinstance(error, InvalidSettings) else FAILED)
    except (NoTemporal, FleetUnavailable, RPCError, WorkflowQueryFailedError) as error:
        code = _fail(error, UNREACHABLE)
    except (LimitsRefused, AwsError) as error:
        code = _fail(error, FAILED)
    except KeyboardInterrupt:
        code = 130
    leave(code)


@app.command(epilog="Example: penstock demo --jobs 5")
def demo(
    jobs: int = typer.Option(40, min=3, max=2000, help="How many jobs to send."),
    seed: int = typer.Option(7, help="Chance's seed."),
    keep: bool = typer.Option(False, help="Keep the folder with histories and logs."),
) -> None:
    """Show all of it on this machine: a simulated GitHub, real runners, every law checked."""
    _logging("ERROR")
    raise typer.Exit(run(run_demo(console, jobs=jobs, seed=seed, keep=keep)))


@app.command(epilog="Example: penstock dev --config penstock.toml")
def dev(config: Path | None = CONFIG, log_level: str = "INFO") -> None:
    """Run everything in one process, with a Temporal server of its own, until stopped.

    Without GitHub credentials in the configuration, a simulated GitHub is started too.
    """
    _logging(log_level)
    settings = configuration.load(config)
    simulated = not (settings.github.app_id or settings.github.personal_token)
    if not simulated:
        settings.check_secrets()
    raise typer.Exit(run(run_dev(config, settings, simulated)))


@app.command(epilog="Example: penstock worker --config /etc/penstock.toml")
def worker(config: Path | None = CONFIG, log_level: str = "INFO") -> None:
    """Run the workers: workflows, tokens, runners."""
    _logging(log_level)
    settings = configuration.load(config)
    settings.check_secrets()

    async def work() -> int:
        client = await connect(settings.state_dir)
        async with workers.running(client, settings):
            console.print("worker runs; Ctrl-C stops it")
            await until_stopped()
        return 0

    raise typer.Exit(run(work()))


@app.command(epilog="Example: penstock gateway --config /etc/penstock.toml")
def gateway(config: Path | None = CONFIG, log_level: str = "INFO") -> None:
    """Run the webhook gateway and the admin interface."""
    _logging(log_level)
    settings = configuration.load(config)
    settings.check_secrets()

    async def work() -> int:
        client = await connect(settings.state_dir)
        async with stack.gateway(client, settings, eager=False) as address:
            console.print(f"gateway {address}", highlight=False)
            await until_stopped()
        return 0

    raise typer.Exit(run(work()))


@app.command(epilog="Example: TEMPORAL_ADDRESS=temporal:7233 penstock setup")
def setup(config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """Prepare what is yours: Temporal's search attributes, DynamoDB's table. Safe to repeat."""
    settings = configuration.load(config)

    async def work() -> int:
        client = await connect(settings.state_dir)
        added = await register_search_attributes(client)
        made: list[str] = []
        if settings.tokens.store == "dynamodb":
            table = settings.tokens.table
            made = [table] * await dynamodb_table.make(aws_of(settings).dynamodb(), table)
        said = [f"search attributes added: {', '.join(added)}"] if added else []
        said += [f"table made: {', '.join(made)}"] if made else []
        say(output, {"added": added, "tables": made}, "\n".join(said) or "nothing to change")
        return 0

    raise typer.Exit(run(work()))


@app.command(epilog="Example: penstock status -o json")
def status(config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """Mode, limits and every repository's permits."""
    answer = ask(config, lambda its: its.status())
    if as_json(output):
        print_json(answer)
        return
    console.print(
        f"mode {answer['mode']} · running {answer['running']} of {answer['capacity']}"
        f" · waiting {answer['waiting']}",
        highlight=False,
    )
    rows = [
        (r["repo"], r["running"], r["limit"], r["waiting"], f"{r['oldest_wait_seconds']:.0f} s")
        for r in answer["repos"]
    ]
    print_table(("repository", "running", "limit", "waiting", "oldest wait"), rows)


@app.command(epilog="Example: penstock jobs --repo acme/api")
def jobs(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    repo: str = typer.Option("", help="Only this repository's (owner/repo)."),
    limit: int = typer.Option(50, min=1, max=1000, help="At most so many."),
) -> None:
    """Jobs that wait or run, each with why."""
    if "'" in repo:
        raise typer.BadParameter("a repository is owner/repo", param_hint="--repo")

    async def work() -> list[dict[str, Any]]:
        client = await connect(configuration.load(config).state_dir)
        query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"
        if repo:
            query += f" AND PenstockRepo='{repo.lower()}'"
        ids = [found.id async for found in client.list_workflows(query, limit=limit)]
        return await asyncio.gather(
            *(
                client.get_workflow_handle(i).query("explain", result_type=dict[str, Any])
                for i in ids
            )
        )

    answers = run(work())
    if as_json(output):
        print_json(answers)
        return
    rows = [(a["repo"], a["job_id"], a["state"], a["permit"], a["why"]) for a in answers]
    print_table(("repository", "job", "state", "permit", "why"), rows)


app.command(epilog="Example: penstock doctor --config /etc/penstock.toml")(doctor)
app.command("explain", epilog="Example: penstock explain acme/api 29679449526")(explain_job)


@app.command(epilog="Example: penstock limits --set max_runners=12 --repo acme/api=3")
def limits(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    set_: list[str] = typer.Option(
        [], "--set", help="max_runners=N, max_repo_share=X or default=N."
    ),
    repo: list[str] = typer.Option([], help="owner/repo=N; owner/repo= unsets it."),
    org: list[str] = typer.Option([], help="owner=N; owner= unsets it."),
    weight: list[str] = typer.Option([], help="owner/repo=X, its part beside others; 1 unset."),
    reason: str = REASON,
) -> None:
    """The limits in force; with options, change them first (all or none)."""
    change = LimitsChange(actor=actor(), reason=reason)
    for key, value in map(pair, set_):
        if key not in ("max_runners", "max_repo_share", "default"):
            raise typer.BadParameter(f"there is no limit {key!r}", param_hint="--set")
        setattr(change, key, number_of(value))
    change.repos = {key: whole_number(value) for key, value in map(pair, repo)}
    change.orgs = {key: whole_number(value) for key, value in map(pair, org)}
    change.weights = {key: number_of(value) if value else None for key, value in map(pair, weight)}
    if set_ or repo or org or weight:
        ask(config, lambda its: its.set_limits(change))
    answer = ask(config, lambda its: its.status())["limits"]
    if as_json(output):
        print_json(answer)
        return
    rows = [(key, answer[key]) for key in ("max_runners", "max_repo_share", "default")]
    rows += [(f"repository {key}", value) for key, value in answer["repos"].items()]
    rows += [(f"organization {key}", value) for key, value in answer["orgs"].items()]
    rows += [(f"weight of {key}", value) for key, value in answer["weights"].items()]
    print_table(("limit", "value"), rows)


app.command(epilog="Example: penstock drain --wait --deadline 30m --reason 'kernel update'")(drain)


@app.command(epilog="Example: penstock resume")
def resume(config: Path | None = CONFIG, output: str = OUTPUT, reason: str = REASON) -> None:
    """Take work again."""
    ask(config, lambda its: its.set_mode("normal", ModeChange(reason, actor=actor())))
    say(output, {"mode": "normal"}, "mode normal: webhooks are accepted")


@app.command(epilog="Example: penstock maintenance --reason 'moving the fleet'")
def maintenance(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    reason: str = REASON,
    stop_running: bool = typer.Option(False, help="Stop every runner too; their jobs fail."),
) -> None:
    """Take no new work and start none; what is queued is kept."""
    change = ModeChange(reason, stop_running=stop_running, actor=actor())
    ask(config, lambda its: its.set_mode("maintenance", change))
    said = "mode maintenance: nothing is granted; what is queued is kept"
    say(output, {"mode": "maintenance"}, said)


@config_app.command("check", epilog="Example: penstock config check --config penstock.toml")
def config_check(config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """Read the configuration and say whether a gateway and a worker could start with it."""
    configuration.load(config).check_secrets()
    say(output, {"good": True}, "the configuration is good")


@key_app.command("create", epilog="Example: penstock admin-key create")
def admin_key_create(output: str = OUTPUT) -> None:
    """Make a key. The key goes to its user, the hash into gateway.admin_key_hashes."""
    key, digest = keys.create()
    say(output, {"key": key, "hash": digest}, f"key   {key}\nhash  {digest}")


@token_key_app.command("create", epilog="Example: penstock token-key create >> token-keys")
def token_key_create(
    output: str = OUTPUT,
    name: str = typer.Option("", help="Its id (default: today's date)."),
) -> None:
    """Make an encryption key: a line for tokens.encryption_keys_file. The first line seals."""
    key_id = name or time.strftime("%Y-%m-%d", time.gmtime())
    if not key_id.replace("-", "").replace("_", "").isalnum():
        raise typer.BadParameter("letters, digits, - and _", param_hint="--name")
    key = new_key()
    say(output, {"id": key_id, "key": key}, f"{key_id} {key}")


@app.command(epilog="Example: penstock version")
def version(output: str = OUTPUT) -> None:
    """The version of Penstock."""
    say(output, {"version": VERSION}, f"penstock {VERSION}")


def _logging(level: str) -> None:
    if level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise typer.BadParameter("one of DEBUG, INFO, WARNING, ERROR", param_hint="--log-level")
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    guard_logs()


def _fail(error: Exception, code: int) -> int:
    print(f"penstock: {redacted(str(error))}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
