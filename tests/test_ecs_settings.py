"""The tables of ECS: what is refused, what a profile takes over, what a worker cannot lack."""

import pytest

import settings as configuration
from policy.placement import Profile
from settings import InvalidSettings

HASH = "a" * 64
WHOLE = """
[gateway]
webhook_secret = "a"
[github]
token = "b"
[runner]
launcher = "ecs"
[ecs]
cluster = "runners"
task_definition = "runner:7"
capacity_providers = ["FARGATE_SPOT", "FARGATE"]
subnets = ["subnet-a", "subnet-b"]
security_groups = ["sg-1"]
assign_public_ip = true
"""


def load(tmp_path, text):
    """The settings of a file."""
    file = tmp_path / "penstock.toml"
    file.write_text(text)
    return configuration.load(file)


def test_a_profile_takes_over_what_it_does_not_say(tmp_path):
    """The one for all jobs comes last."""
    profile = """
[[ecs.profiles]]
labels = ["gpu"]
launch_type = "EC2"
cpu = "4096"
assign_public_ip = false
"""
    settings = load(tmp_path, WHOLE + profile)
    settings.check_secrets()
    gpu, every = settings.ecs.every_profile
    nets = ("subnet-a", "subnet-b")
    assert gpu == Profile(
        ("gpu",), "runner:7", "runner", (), "EC2", nets, ("sg-1",), cpu="4096", public_ip=False
    )
    assert every == Profile(
        (), "runner:7", "runner", ("FARGATE_SPOT", "FARGATE"), "", nets, ("sg-1",), public_ip=True
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('cluster = "runners"', "", "ecs.cluster is missing"),
        ('task_definition = "runner:7"', "", "ecs.task_definition is missing"),
        ('subnets = ["subnet-a", "subnet-b"]', "", "ecs.subnets is missing: Fargate"),
        (
            'capacity_providers = ["FARGATE_SPOT", "FARGATE"]\nsubnets = ["subnet-a", "subnet-b"]',
            'launch_type = "FARGATE"',
            "ecs.subnets is missing: Fargate",
        ),
    ],
)
def test_what_a_worker_cannot_lack_is_named(tmp_path, before, after, said):
    """Before anything is launched."""
    assert before in WHOLE
    with pytest.raises(InvalidSettings, match=said):
        load(tmp_path, WHOLE.replace(before, after)).check_secrets()


def test_a_profile_is_checked_like_the_rest(tmp_path):
    """By its number."""
    profiles = '[[ecs.profiles]]\nlabels = ["gpu"]\n'
    text = WHOLE.replace('task_definition = "runner:7"', "") + profiles
    with pytest.raises(InvalidSettings, match=r"ecs\.profiles\[1\]\.task_definition"):
        load(tmp_path, text).check_secrets()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[ecs]\nlaunch_type = "FARGATE"\ncapacity_providers = ["FARGATE"]', "not both"),
        ('[ecs]\nlaunch_type = "LAMBDA"', "ecs.launch_type: "),
        ("[ecs]\npoll_seconds = 0.1", "ecs.poll_seconds: "),
        ('[ecs]\nhandover = "s3"', "ecs.handover: "),
        ('[ecs]\nevent_key_hashes = ["abc"]', "ecs.event_key_hashes"),
        ('[ecs.environment]\nPENSTOCK_X = "1"', "PENSTOCK_X: names that begin"),
        ("[[ecs.profiles]]\nlabels = []", "labels"),
        ('[ecs]\nsubnet = "x"', "ecs.subnet: there is no such key"),
    ],
)
def test_a_wrong_key_is_refused(tmp_path, text, said):
    """In one line that names it."""
    with pytest.raises(InvalidSettings, match=said.replace(".", r"\.")) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_the_hashes_of_event_keys_are_taken(tmp_path):
    """As penstock admin-key create prints them."""
    settings = load(tmp_path, f'[ecs]\nevent_key_hashes = ["{HASH}"]')
    assert settings.ecs.event_key_hashes == [HASH]
