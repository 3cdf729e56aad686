"""`python -m simulator`: see README.md."""

import argparse
import asyncio
from pathlib import Path

from simulator.app import Options, Simulator
from simulator.server import serve


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="simulator", description="A GitHub on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--webhook-url", default="", help="where events go")
    parser.add_argument("--webhook-secret-file", type=Path)
    parser.add_argument("--app-id", type=int, default=4242)
    parser.add_argument("--app-client-id", default="Iv1.simulated")
    parser.add_argument("--app-public-key-file", type=Path, help="PEM")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ready-file", type=Path, help="written when it listens")
    given = parser.parse_args()
    options = Options(
        webhook_url=given.webhook_url,
        webhook_secret=_text(given.webhook_secret_file) or "",
        app_id=given.app_id,
        client_id=given.app_client_id,
        public_key=_text(given.app_public_key_file),
        seed=given.seed,
    )
    asyncio.run(serve(Simulator(options), given.port, given.ready_file))


def _text(path: Path | None) -> str | None:
    return None if path is None else path.read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    main()
