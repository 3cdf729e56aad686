"""One adapter per vendor, the only users of httpx, PyJWT and subprocesses.

They never retry: Temporal does.
"""
