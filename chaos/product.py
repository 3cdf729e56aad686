"""`python -m chaos.product worker --config F`: the product's command line, with short waits."""

import os
import sys

from chaos import pace
from cli import run_command
from embedded.leave import leave

if __name__ == "__main__":
    pace.quicken()
    if os.environ.get("CHAOS_HURRY"):
        pace.hurry()
    leave(run_command(sys.argv[1:]))
