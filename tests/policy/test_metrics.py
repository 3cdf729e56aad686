"""The list of metrics."""

import pytest

from policy import metrics


@pytest.mark.parametrize(
    ("name", "exposed"),
    [
        ("penstock_fleet_running", ("penstock_fleet_running",)),
        ("penstock_launches", ("penstock_launches_total",)),
        (
            "penstock_launch_seconds",
            tuple(f"penstock_launch_seconds_{part}" for part in ("bucket", "sum", "count")),
        ),
    ],
)
def test_names_are_as_prometheus_has_them(name: str, exposed: tuple[str, ...]) -> None:
    """A counter with its ending, a histogram with its parts."""
    assert metrics.family(name).exposed == exposed


def test_the_list_is_in_order() -> None:
    """Names and help that Prometheus takes; a total is of a counter with labels."""
    for family in metrics.ALL:
        assert family.name.startswith("penstock_")
        assert not family.name.endswith("_total")
        assert family.help.endswith(".")
        assert not family.total or (family.kind == "counter" and family.labels)
    with pytest.raises(KeyError):
        metrics.family("penstock_nothing")
