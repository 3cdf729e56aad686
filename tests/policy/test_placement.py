"""Where tasks may run, in which order, and by which labels."""

from policy.placement import Place, Profile, profile_for, turned

NETS = ("a", "b", "c")


def test_every_subnet_of_the_first_provider_comes_before_the_second() -> None:
    """From a subnet that the runner's name chooses."""
    profile = Profile(providers=("FARGATE_SPOT", "FARGATE"), subnets=NETS, launch_type="EC2")
    places = profile.places("penstock-1-1")
    assert [place.provider for place in places] == ["FARGATE_SPOT"] * 3 + ["FARGATE"] * 3
    nets = [place.subnet for place in places]
    assert nets[:3] == nets[3:] == turned(NETS, "penstock-1-1")
    assert {place.launch_type for place in places} == {""}, "providers go before a launch type"
    assert profile.places("penstock-1-1") == places


def test_runners_begin_at_all_subnets_alike() -> None:
    """Of 3,000 names each subnet is the first of about a third, in the order of the list."""
    firsts = [turned(NETS, f"penstock-{n}-1") for n in range(3000)]
    for net in NETS:
        assert 900 < sum(order[0] == net for order in firsts) < 1100
    assert {"".join(order) for order in firsts} == {"abc", "bca", "cab"}


def test_without_subnets_and_providers_there_is_one_place() -> None:
    """A launch type, or what the cluster has by default."""
    assert Profile(launch_type="EC2").places("x") == [Place(launch_type="EC2")]
    assert Profile().places("x") == [Place()]
    assert str(Place()) == "the cluster's default"
    assert str(Place(launch_type="EC2")) == "EC2"
    assert str(Place("FARGATE", "", "a")) == "FARGATE in a"


def test_the_first_profile_whose_labels_are_all_asked_for() -> None:
    """Case does not matter; one without labels is for every job."""
    gpu, large, any_job = Profile(("GPU", "linux")), Profile(("large",)), Profile()
    every = (gpu, large, any_job)
    assert profile_for(["self-hosted", "Linux", "gpu"], every) is gpu
    assert profile_for(["gpu"], every) is any_job
    assert profile_for(["large", "gpu", "linux"], every) is gpu
    assert profile_for(["large"], every) is large
    assert profile_for(["windows"], (gpu, large)) is None
