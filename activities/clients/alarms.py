"""CloudWatch's alarms, made what policy/alarms.py says; the second time there is nothing to do.

Only what Penstock has an opinion on is compared and changed: actions that an operator gave an
alarm stay if no topic is configured, and alarms whose actions are switched off stay so.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import AwsError
from activities.clients.aws import told as told_of
from policy.alarms import MINUTE, Alarm, Measure

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient

# What stays as an operator has it, unless Penstock says otherwise.
KEPT = ("ActionsEnabled", "AlarmActions", "OKActions", "InsufficientDataActions")


async def make(
    client: "CloudWatchClient",
    alarms: Sequence[Alarm],
    *,
    namespace: str,
    prefix: str,
    topic: str = "",
    told: int = MINUTE,
    dry_run: bool = False,
) -> list[str]:
    """Make and mend; what changed, in words (with `dry_run` what would). Raises AwsError.

    `told`: metrics are told every so many seconds.
    """
    wanted = {
        prefix + alarm.name: _wanted(
            alarm, prefix + alarm.name, namespace, topic, alarm.period(told)
        )
        for alarm in alarms
    }
    try:
        found = await asyncio.to_thread(
            client.describe_alarms, AlarmNames=list(wanted), AlarmTypes=["MetricAlarm"]
        )
        there = {
            str(one.get("AlarmName")): cast(dict[str, Any], one) for one in found["MetricAlarms"]
        }
        said: list[str] = []
        for name, alarm in wanted.items():
            old = there.get(name)
            differs = _differences(old, alarm) if old else []
            if old and not differs:
                continue
            said.append(f"alarm {name}: {', '.join(differs) if old else 'new'}")
            if not dry_run:
                kept = {key: old[key] for key in KEPT if key in old} if old else {}
                await asyncio.to_thread(client.put_metric_alarm, **{**kept, **alarm})
    except (ClientError, BotoCoreError) as error:
        wants = "cloudwatch:DescribeAlarms and cloudwatch:PutMetricAlarm"
        raise AwsError(f"CloudWatch, alarms: {told_of(error)}: it wants {wants}") from None
    return said


def _wanted(alarm: Alarm, name: str, namespace: str, topic: str, period: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "AlarmName": name,
        "AlarmDescription": alarm.description,
        "ComparisonOperator": alarm.comparison,
        "Threshold": alarm.threshold,
        "EvaluationPeriods": alarm.periods,
        "DatapointsToAlarm": alarm.periods,
        "TreatMissingData": alarm.missing,
    }
    if topic:
        made |= {"AlarmActions": [topic], "OKActions": [topic]}
    if alarm.expression:
        parts = [
            {
                "Id": key,
                "MetricStat": {
                    "Metric": _metric(measure, namespace),
                    "Period": period,
                    "Stat": measure.statistic,
                },
                "ReturnData": False,
            }
            for key, measure in alarm.measures
        ]
        whole = {
            "Id": "judged",
            "Expression": alarm.expression,
            "Label": alarm.name,
            "ReturnData": True,
        }
        return made | {"Metrics": [*parts, whole]}
    _, measure = alarm.measures[0]
    of = {"Period": period, "Statistic": measure.statistic}
    return made | _metric(measure, namespace) | of


def _metric(measure: Measure, namespace: str) -> dict[str, Any]:
    return {
        "Namespace": namespace,
        "MetricName": measure.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in measure.dimensions],
    }


def _differences(old: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What is to become of it, key by key."""
    found: list[str] = []
    for key, value in wanted.items():
        was = _plain(old.get(key))
        if was != _plain(value):
            short = isinstance(value, str | int | float) and key != "AlarmDescription"
            found.append(f"{key} {was} → {value}" if short else f"{key} changed")
    return found


def _plain(value: Any) -> Any:
    """As AWS may tell it back: empty lists left out, numbers as floats, all in any order."""
    if isinstance(value, Mapping):
        items = cast(Mapping[str, Any], value).items()
        return {key: plain for key, entry in items if (plain := _plain(entry)) not in (None, [])}
    if isinstance(value, list):
        return sorted((_plain(entry) for entry in cast(list[Any], value)), key=_in_order)
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return [] if value is None else value


def _in_order(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
