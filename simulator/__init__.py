"""A GitHub on loopback, and its runners: see README.md.

Imports nothing, so that a runner starts fast.
"""
