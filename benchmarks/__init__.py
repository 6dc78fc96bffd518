"""Our figures beside the peer's, in one run. How to repeat them: README.md."""
