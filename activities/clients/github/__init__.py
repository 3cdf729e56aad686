"""GitHub over HTTP: the adapter of the port activities/github.py, and what it stands on."""

from activities.clients.github.client import GitHubClient
from activities.clients.github.clock import GitHubClock
from activities.clients.github.identity import Credentials

__all__ = ["Credentials", "GitHubClient", "GitHubClock"]
