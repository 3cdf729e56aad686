"""Runs the simulator's runner with a fault in its first attempts: FAULT ATTEMPTS."""

import os
import sys
from pathlib import Path

RUNNER = Path(__file__).resolve().parents[2] / "simulator" / "runner" / "__main__.py"

if __name__ == "__main__":
    fault, attempts = sys.argv[1], int(sys.argv[2])
    attempt = int(os.environ["PENSTOCK_RUNNER_NAME"].rsplit("-", 1)[1])
    if attempt <= attempts:
        os.environ["SIMULATOR_RUNNER_FAULT"] = fault
    os.execv(sys.executable, [sys.executable, "-I", "-S", str(RUNNER)])
