"""What the process tells over HTTP: whether it lives, whether it is ready, and its metrics."""
