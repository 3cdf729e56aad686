"""Property tests find the same examples on every machine."""

import pytest
from hypothesis import HealthCheck, Phase, is_hypothesis_test, settings

settings.register_profile(
    "policy",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# For `make mutation`: a mutant is killed or not, and nobody reads the smallest example.
settings.register_profile(
    "mutation",
    settings.get_profile("policy"),
    max_examples=20,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
settings.load_profile("policy")

# Long searches, after all that may tell sooner.
LONG = ("test_protocol.py", "test_no_order_of_events", "test_every_job_comes_to_an_end")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With the profile `mutation` the dearer tests come later: the first failure is enough."""
    if config.getoption("--hypothesis-profile") == "mutation":
        items.sort(key=_dear)


def _dear(item: pytest.Item) -> int:
    if any(name in item.nodeid for name in LONG):
        return 2
    return int(is_hypothesis_test(getattr(item, "obj", None)))
