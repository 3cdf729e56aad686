"""Penstock with all on board: a Temporal server of its own, gateway and worker in one process."""
