"""What one beat of the poll takes, beside BullMQ's own counts."""
