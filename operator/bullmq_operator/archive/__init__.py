"""Queues as files: written before a queue is destroyed, and put back into a queue by `restore`."""
