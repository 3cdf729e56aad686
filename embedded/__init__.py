"""Penstock with everything on board: its own Temporal server, gateway and worker in one process."""
