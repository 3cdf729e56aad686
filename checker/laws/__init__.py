"""One module a law, or a group of laws; each law is a function from evidence to violations."""
