"""Which errors end a command with one clear line, and with which exit code."""

from commands.exits import FAILED, UNREACHABLE, USAGE

# By name, so that no command loads what only another one can fail with.
CODES = {
    "settings.InvalidSettings": USAGE,
    "demo.site.SiteError": FAILED,
    "embedded.temporal_server.TemporalServerError": FAILED,
    "api.fleet_client.LimitsRefused": FAILED,
    "api.explain.UnknownJob": FAILED,
    "activities.clients.aws.AwsError": FAILED,
    "activities.dead_letters.LettersUnavailable": FAILED,
    "embedded.deployment.NotPromoted": FAILED,
    "embedded.connect.NoTemporal": UNREACHABLE,
    "api.fleet_client.FleetUnavailable": UNREACHABLE,
    "api.explain.JobSilent": UNREACHABLE,
    "api.job_list.ListUnknown": UNREACHABLE,
    "temporalio.service.RPCError": UNREACHABLE,
    "temporalio.client._exceptions.WorkflowQueryFailedError": UNREACHABLE,
}


def exit_code_of(error: BaseException) -> int | None:
    """None for an error that nobody foresaw. A kind of a known error is known."""
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((CODES[name] for name in names if name in CODES), None)
