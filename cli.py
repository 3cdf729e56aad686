"""The command line: `penstock`. Wiring only: commands/every.py has the commands.

Exit codes: commands/exits.py.
"""

import asyncio
import sys
import traceback
from typing import NoReturn

from activities.redaction import redacted
from commands.every import app_for
from commands.exits import FAILED, INTERRUPTED
from commands.failures import exit_code_of
from embedded.leave import leave


def main() -> NoReturn:
    """The console script. Leaves by os._exit (embedded/leave.py says why)."""
    leave(run_command())


def run_command(arguments: list[str] | None = None) -> int:
    """Run one command, by default the process's own; its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app_for(given)(given, prog_name="penstock")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001, RUF100 - told apart below
        code = exit_code_of(error)
        if code is None:  # nobody foresaw it, so nobody knows what it quotes
            print(redacted(traceback.format_exc()), file=sys.stderr)
            return FAILED
        print(f"penstock: {redacted(str(error))}", file=sys.stderr)
        return code
    return 0


if __name__ == "__main__":
    main()
