"""A small queue's residue is removed beside a million keys of others."""
