"""Property tests find the same examples on every machine."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "policy",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("policy")
