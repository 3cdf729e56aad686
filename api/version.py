"""Which Penstock this is; pyproject.toml has the same."""

VERSION = "0.1.0"
