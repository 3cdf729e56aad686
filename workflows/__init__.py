"""Deterministic code: policy decides, activities act, these wait in between."""
