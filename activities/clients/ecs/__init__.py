"""Runners as tasks of Amazon ECS: the launcher, and what it stands on."""

from activities.clients.ecs.events import TaskEvents
from activities.clients.ecs.launcher import EcsLauncher, Fleet
from activities.clients.ecs.secrets import ManagedSecrets, ParameterSecrets, Secrets

__all__ = ["EcsLauncher", "Fleet", "ManagedSecrets", "ParameterSecrets", "Secrets", "TaskEvents"]
