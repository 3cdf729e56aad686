"""What the exit codes say; docs/cli.md has the same table for operators."""

DONE = 0
FAILED = 1  # it was tried, and did not work; or what was asked for is not there
USAGE = 2  # wrong usage or configuration: nothing was started
UNREACHABLE = 3  # Temporal or the Fleet does not answer
TOO_LATE = 4  # a deadline passed
INTERRUPTED = 130  # Ctrl-C, as shells count it
