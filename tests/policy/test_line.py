"""The index of the waiters against the plain sorted list."""

from hypothesis import given
from hypothesis import strategies as st

from policy.line import Line, rank
from policy.messages import Acquire, Waiting
from policy.priority import PRIORITIES

NOW = 10_000.0
JOBS = [f"j{i}" for i in range(8)]
STEPS = st.lists(
    st.one_of(
        st.builds(
            Acquire,
            job=st.sampled_from(JOBS),
            priority=st.sampled_from([*PRIORITIES, "unheard of"]),
            queued_at=st.sampled_from([NOW - 2000, NOW - 700, NOW - 650, NOW - 5, NOW]),
            not_before=st.sampled_from([0.0, NOW - 10, NOW + 10, NOW + 900]),
        ),
        st.sampled_from(JOBS),  # it leaves
        st.sampled_from([1.0, 20.0, 700.0]),  # time passes
    ),
    max_size=40,
)


@given(STEPS)
def test_it_is_the_sorted_list(steps: list[Acquire | str | float]) -> None:
    """First, counts, oldest and next: at each moment what a look at all of them would find."""
    line = Line([])
    waiters: dict[str, Acquire] = {}
    now = NOW
    for step in steps:
        if isinstance(step, Acquire):
            waiters[step.job] = step
            line.add(step)
        elif isinstance(step, str):
            waiters.pop(step, None)
            line.remove(step)
        else:
            now += step
        able = [w for w in waiters.values() if w.not_before <= now]
        assert line.first(now) == min(able, key=lambda w: rank(w, now), default=None)
        ahead = [w.not_before for w in waiters.values() if w.not_before > now]
        assert line.next_at(now) == min(ahead, default=None)
        found: list[Waiting] = []
        for name in PRIORITIES:
            of = [
                w.queued_at
                for w in able
                if (w.priority if w.priority in PRIORITIES else "normal") == name
            ]
            if of:
                found.append(Waiting(name, len(of), min(of)))
        assert line.waiting(now) == found
        again = Line(waiters.values())
        assert again.first(now) == line.first(now)
