"""`python -m benchmarks.throttle [SECONDS]`: one organization refused by GitHub for that long."""

import asyncio
import functools
import sys

from benchmarks.fresh import on_fresh_server
from benchmarks.github import throttled
from embedded.leave import leave


async def main() -> None:
    """Measure and print."""
    pause = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    seen = await on_fresh_server(functools.partial(throttled, pause=pause))
    print(f"GitHub refuses acme for {pause:.0f} s")
    print(f"beta: wait p95 beside acme {seen.before:.3f} s, alone {seen.alone:.3f} s", end=", ")
    print(f"while acme is refused {seen.during:.3f} s", end=", ")
    print(f"ratio to alone {seen.during / seen.alone:.3f}", end=", ")
    print(f"to beside acme {seen.during / seen.before:.3f}")
    print(f"acme: most permits held meanwhile {seen.most_held}", end=", ")
    print(f"all jobs completed {seen.all_completed}, calls too early {seen.too_early}")


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
