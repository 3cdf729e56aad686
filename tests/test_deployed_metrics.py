"""deploy/ and docs/metrics.md name what is measured, and nothing else."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from policy import metrics
from policy.alarms import Alarm, alarms
from policy.thresholds import Thresholds

ROOT = Path(__file__).resolve().parents[1]
PROMETHEUS = ROOT / "deploy" / "prometheus"
EXPOSED = {name: family for family in metrics.ALL for name in family.exposed}
RECORDED = r"penstock:[a-z0-9_:]+"
OPERATORS = {
    "GreaterThanThreshold": ">",
    "LessThanThreshold": "<",
    "GreaterThanOrEqualToThreshold": ">=",
}


def rules(file: str) -> list[dict]:
    """All rules of a file."""
    groups = yaml.safe_load((PROMETHEUS / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def check(expression: str) -> None:
    """Each metric is exposed or recorded, with the labels that it is asked for."""
    recorded = {rule["record"] for rule in rules("recording.yml")}
    assert set(re.findall(RECORDED, expression)) <= recorded, expression
    for name, _, matchers in re.findall(r"(penstock_[a-z0-9_]+)(\{([^}]*)\})?", expression):
        assert name in EXPOSED, name
        labels = set(re.findall(r"([a-z_]+)\s*=", matchers))
        assert labels <= set(EXPOSED[name].labels), expression


def test_rules_name_what_is_exposed() -> None:
    """Each name, and each label that is matched."""
    every = rules("recording.yml") + rules("alerts.yml")
    assert len(every) > 20
    for rule in every:
        check(rule["expr"])


def test_the_dashboard_of_grafana_names_what_is_exposed() -> None:
    """Grafana can load it: ids and places of their own, legends by labels there are."""
    told = json.loads((ROOT / "deploy" / "grafana" / "penstock.json").read_text())
    panels = told["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}) == len(panels)
    assert [one["name"] for one in told["templating"]["list"]] == ["datasource"]
    used: set[str] = set()
    for panel in panels:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["datasource"]["uid"] == "${datasource}"
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0
        for target in panel["targets"]:
            check(target["expr"])
            grouped = set(re.findall(r"by \((\w+)\)", target["expr"])) or {"identity"}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= grouped
            used |= set(re.findall(r"penstock_[a-z0-9_]+", target["expr"]))
    every = json.dumps(told)
    assert {re.sub("_(total|bucket)$", "", name) for name in used} <= set(metrics.BY_NAME)
    assert "http://" not in every
    assert "https://" not in every


def test_alerts_are_cloudwatchs_alarms() -> None:
    """The same six, at the same thresholds, after the same time, with the same words."""
    there = {rule["alert"]: rule for rule in rules("alerts.yml")}
    wanted = {alert(alarm): alarm for alarm in alarms(Thresholds())}
    assert list(there) == list(wanted)
    for name, alarm in wanted.items():
        rule = there[name]
        assert rule["for"] == f"{alarm.minutes}m"
        said = (rule["annotations"]["summary"], rule["annotations"]["description"])
        assert said == (alarm.what, alarm.todo)
        if alarm.live:
            live = alarm.live.replace("penstock_fleet_", "penstock:")
            (recorded,) = [r["expr"] for r in rules("recording.yml") if r["record"] == live]
            assert recorded == f"max without (instance) ({alarm.live})"
        limit = live if alarm.live else f"{alarm.threshold:g}"
        assert re.search(rf" {OPERATORS[alarm.comparison]} {limit}\b", rule["expr"]), name


def alert(alarm: Alarm) -> str:
    """What the alarm is called at Prometheus."""
    return "Penstock" + "".join(part.capitalize() for part in alarm.name.split("-"))


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "recording.yml", "alerts.yml"), ("test", "rules", "tests.yml")],
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    """With the rules as such, and with what they say of made-up days."""
    path = f"{os.environ.get('PATH', '')}{os.pathsep}{ROOT / '.tools' / 'usr' / 'bin'}"
    promtool = shutil.which("promtool", path=path)
    if promtool is None:
        pytest.skip("there is no promtool: .ci/promtool fetches it")
    done = subprocess.run(
        [promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_every_metric_as_it_is() -> None:
    """The tables are the registry's; each alarm says what to do."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = [
        re.split(r"\s*\|\s*", line.strip("| \n"))
        for line in page.splitlines()
        if line.startswith("| `penstock_")
    ]
    assert rows == [row(family) for family in metrics.ALL]
    for alarm in alarms(Thresholds()):
        assert f"`{alarm.name}`" in page
        line = next(li for li in page.splitlines() if li.startswith(f"| `{alarm.name}`"))
        assert f"`{alarm.missing}`" in line
        assert alarm.because in line
        assert f"{alarm.threshold:g}" in line
        assert alarm.todo in line


def row(family: metrics.Family) -> list[str]:
    """A metric's line in the table."""
    name = family.name + ("_total" if family.kind == "counter" else "")
    kind = "histogram" if family.kind == "distribution" else family.kind
    labels = ", ".join(family.labels) or "–"
    return [f"`{name}`", kind, family.unit, labels, family.cloudwatch or "–", family.help]
