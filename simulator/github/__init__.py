"""GitHub's REST paths, behind one gate: identity, limits, faults, the log of calls."""
