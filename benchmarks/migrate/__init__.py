"""How fast and how gently unfinished jobs are moved, beside the same by BullMQ's own API."""
