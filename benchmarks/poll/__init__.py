"""How long one look at all queues takes, beside BullMQ's own counts."""
