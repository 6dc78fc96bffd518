"""The only Redis client: reads queues, takes inventories, and deletes what was proven finished."""
