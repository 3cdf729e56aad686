"""`make sbom`: the packages that Penstock stands on, by its lock file, in CycloneDX's form."""

import subprocess
import sys
from pathlib import Path

LOCK = Path("requirements/run.txt")


def write(target: Path, lock: Path = LOCK) -> None:
    """Write it; raises CalledProcessError if it cannot be made, or is not valid by its schema."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # The warning says that a lock file does not tell who needs whom.
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(lock)]
    command += ["--pyproject", "pyproject.toml", "--validate", "--output-reproducible"]
    command += ["--output-file", str(target)]
    subprocess.run(command, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"no bill of materials: {error.stderr.strip()[-300:]}")
    print(f"sbom: {sys.argv[1]}")
