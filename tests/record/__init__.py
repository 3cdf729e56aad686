"""Histories of every workflow on every path, recorded from a real server: `make record`.

The tests of the workflows are the scenarios: while they are recorded (plugin.py), each run of
each workflow that they leave behind is looked at, and for every path (paths/) the smallest
history that shows it is kept. What no test does is done in scenes.py. The corpus (corpus.py) is
replayed by tests/workflows/test_corpus.py; older releases' part of it is never touched.
"""
