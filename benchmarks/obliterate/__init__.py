"""How fast, how gently and how safely finished jobs are deleted, beside BullMQ's own obliterate."""
