"""A queue to a file and back: how fast, how much memory, and for how long Redis waits."""
