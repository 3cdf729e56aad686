"""Penstock's decisions: pure functions over plain data; time (epoch seconds) is an argument."""
