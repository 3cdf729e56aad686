"""Chaos: seeded faults against the real stack, then the laws decide (docs/reliability.md).

    python -m chaos --seed 7 --seconds 120
    python -m chaos points

One seed is one plan (plan.py): which faults, when, how long, and which jobs arrive meanwhile. The
stack is real: Temporal's server with its database file, gateway and workers as processes of their
own behind TCP proxies of ours, runner processes, a simulated GitHub. After the plan nobody mends
anything: the system recovers by itself, within bounded time, or the run has failed.
"""
