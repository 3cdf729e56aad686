"""Decides after the fact whether a run of Penstock kept its laws (docs: the design's section 14).

It reads exported workflow histories and, if there is one, the simulator's log; it shares no code
with the product, so that both cannot be wrong in the same way. Use:

    histories = await checker.export.export(client)         # or history.load_folder(path)
    log = simulated.read(jobs=…, runners=…, deliveries=…, calls=…, summary=…)
    evidence = Evidence(histories, log, now=time.time(), canaries=[webhook_secret])
    for violation in check(evidence): print(violation)
    print(figures.summary(evidence))

`python -m checker FOLDER` checks saved histories. `checker.export` alone needs temporalio.
"""

from checker import figures, history, simulated
from checker.check import check
from checker.evidence import Bounds, Evidence, Violation
from checker.figures import summary

__all__ = [
    "Bounds",
    "Evidence",
    "Violation",
    "check",
    "figures",
    "history",
    "simulated",
    "summary",
]
