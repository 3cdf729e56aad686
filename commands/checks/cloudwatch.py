"""CloudWatch, where it is told metrics."""

from activities.clients.aws import AwsError
from commands.checks.finding import Finding
from settings import Settings
from wiring_metrics import make_alarms, make_dashboard


async def cloudwatch(settings: Settings) -> Finding:
    """Whether the alarms and the dashboard are what they are to be. Changes nothing."""
    what = f"CloudWatch {settings.cloudwatch.namespace}"
    try:
        differs = await make_alarms(settings, dry_run=True)
        differs += await make_dashboard(settings, dry_run=True)
    except AwsError as error:
        # Metrics are told without these rights.
        return Finding(what, "warning", str(error))
    if differs:
        more = f" and {len(differs) - 1} more" if len(differs) > 1 else ""
        return Finding(what, "warning", f"{differs[0]}{more}: run penstock setup")
    return Finding(what, "good", "the alarms and the dashboard are there")
