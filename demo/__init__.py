"""A site to try Penstock on without GitHub: the simulator, real runner processes, a scenario."""
