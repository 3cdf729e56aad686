"""Tests of the pure folder policy/."""
