"""Commands for people, one file a verb."""
