"""BullMQ workers and producers that Pods and tests run, in Node (`*.js`) and in Python (`*.py`).

A program of one name takes the same environment and prints the same lines in either language.
"""
