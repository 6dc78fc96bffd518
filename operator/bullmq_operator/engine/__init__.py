"""The loop that keys go round in. It knows keys, not queues."""
