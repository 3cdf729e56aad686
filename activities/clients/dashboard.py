"""CloudWatch's dashboard, made what policy/dashboard.py says; the second time nothing is done."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import AwsError, told
from policy import dashboard

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient

NOT_THERE = ("ResourceNotFound", "ResourceNotFoundException", "DashboardNotFoundError")


async def make(
    client: "CloudWatchClient", name: str, *, namespace: str, period: int, dry_run: bool = False
) -> list[str]:
    """Make or mend it; what changed, in words (with `dry_run` what would). Raises AwsError."""
    wanted = dashboard.body(namespace, client.meta.region_name, period)
    try:
        there = await _there(client, name)
        if there == wanted:
            return []
        if not dry_run:
            answer = await asyncio.to_thread(
                client.put_dashboard, DashboardName=name, DashboardBody=json.dumps(wanted)
            )
            said = [
                one.get("Message", "") for one in answer.get("DashboardValidationMessages", [])
            ]
            if said:
                raise AwsError(f"CloudWatch, dashboard {name}: {said[0]}")
    except (ClientError, BotoCoreError) as error:
        wants = "cloudwatch:GetDashboard and cloudwatch:PutDashboard"
        raise AwsError(f"CloudWatch, dashboard {name}: {told(error)}: it wants {wants}") from None
    return [f"dashboard {name}: {'new' if there is None else 'changed'}"]


async def _there(client: "CloudWatchClient", name: str) -> Any:
    """The body as it is; None if there is no such dashboard."""
    try:
        found = await asyncio.to_thread(client.get_dashboard, DashboardName=name)
    except ClientError as error:
        if told(error) in NOT_THERE:
            return None
        raise
    return json.loads(found["DashboardBody"])  # CloudWatch takes nothing else
