"""`make demo`: an old version of a queue drains and goes away, then a bad release is rolled back.

Everything is real: the API server, the operator under the rights of its manifests, Redis, and
BullMQ workers and producers in Node processes. Nothing is scripted but what a person would type.
"""
