"""CloudWatch over boto3: where metrics go."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import told
from activities.publisher import PublishFailed
from policy.cloudwatch import Datum

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import MetricDatumTypeDef

DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


class CloudWatchSink:
    """Sends to one namespace. A client of boto3 may be shared among threads."""

    def __init__(self, client: "CloudWatchClient", namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def put(self, data: Sequence[Datum], at: float) -> None:
        """One call. Raises PublishFailed."""
        when = datetime.fromtimestamp(at, UTC)
        entries = [_entry(datum, when) for datum in data]
        try:
            await asyncio.to_thread(
                self._client.put_metric_data, Namespace=self._namespace, MetricData=entries
            )
        except (ClientError, BotoCoreError) as error:
            code = told(error)
            mend = ": the role wants cloudwatch:PutMetricData" if code in DENIED else ""
            raise PublishFailed(f"{code}{mend}") from None


def _entry(datum: Datum, when: datetime) -> "MetricDatumTypeDef":
    made: MetricDatumTypeDef = {
        "MetricName": datum.name,
        "Unit": datum.unit,  # pyright: ignore[reportAssignmentType] - policy/metrics.py has Unit
        "Timestamp": when,
        "Dimensions": [{"Name": name, "Value": value} for name, value in datum.dimensions],
    }
    if len(datum.values) == 1 and datum.values[0][1] == 1:
        made["Value"] = datum.values[0][0]
    else:
        made["Values"] = [value for value, _ in datum.values]
        made["Counts"] = [float(count) for _, count in datum.values]
    return made
