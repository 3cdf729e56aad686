"""`[cloudwatch]`: off unless it is asked for, and refused by the key that is wrong."""

import re
import tomllib
from pathlib import Path

import pytest

from settings import InvalidSettings, load

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"


def test_it_is_off_by_default(monkeypatch, tmp_path):
    """And what it would tell is bounded."""
    monkeypatch.chdir(tmp_path)
    found = load().cloudwatch
    assert (found.enabled, found.namespace, found.period_seconds) == (False, "Penstock", 60)
    assert (found.repositories, found.alarm_topic_arn) == (50, "")
    monkeypatch.setenv("PENSTOCK_CLOUDWATCH__ENABLED", "true")
    assert load().cloudwatch.enabled


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"namespace": "AWS/Penstock"}, "namespace: AWS/… is for AWS's own metrics"),
        ({"namespace": ""}, "namespace: "),
        ({"period_seconds": 5}, "period_seconds: "),
        ({"repositories": 501}, "repositories: "),
        ({"alarm_topic_arn": "on-call"}, "alarm_topic_arn: "),
        ({"alarm_prefix": "a b"}, "alarm_prefix: "),
        ({"dashboard": "a/b"}, "dashboard: "),
        ({"interval": 60}, "interval: there is no such key"),
    ],
)
def test_a_wrong_key_is_one_line_that_names_it(monkeypatch, tmp_path, table, key):
    """Before anything is started."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSettings) as caught:
        load(cloudwatch=table)
    assert str(caught.value).startswith(f"cloudwatch.{key}")


def test_the_page_names_every_key(monkeypatch, tmp_path):
    """With its default, but for the switch."""
    monkeypatch.chdir(tmp_path)
    (table,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    shown = tomllib.loads(table)["cloudwatch"]
    assert load(cloudwatch=shown).cloudwatch.model_dump() == shown
    assert {**shown, "enabled": False} == load().cloudwatch.model_dump()
