"""A Temporal client: to where TEMPORAL_ADDRESS or a profile says, or to the embedded server."""

import os
from dataclasses import replace
from pathlib import Path

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig

from activities.failures import RedactingFailureConverter
from embedded import temporal_server

CONVERTER = replace(DataConverter.default, failure_converter_class=RedactingFailureConverter)


class NoTemporal(Exception):
    """No Temporal server can be reached; the message says what to do."""


def is_external() -> bool:
    """Whether the environment names a Temporal server to use instead of the embedded one."""
    return bool(os.environ.get("TEMPORAL_ADDRESS") or os.environ.get("TEMPORAL_PROFILE"))


async def connect(state_dir: Path) -> Client:
    """A connected client. Raises NoTemporal."""
    if is_external():
        options = ClientConfig.load_client_connect_config()
    else:  # no profile of another server has a say in how ours is reached
        running = temporal_server.read(state_dir)
        if running is None:
            raise NoTemporal(
                f"no Temporal server runs on {state_dir}: start `penstock dev`, "
                "or set TEMPORAL_ADDRESS"
            )
        options = ClientConnectConfig(target_host=running.address)
    address = options.get("target_host", "localhost:7233")
    try:
        return await Client.connect(**options, data_converter=CONVERTER)
    except RuntimeError:
        raise NoTemporal(f"no Temporal server answers at {address}") from None
