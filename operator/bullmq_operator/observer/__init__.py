"""The world as it is: caches, readings of Redis, and the one Observation made of them."""
