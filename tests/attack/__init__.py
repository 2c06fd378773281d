"""Tries to get a decision that was not measured: a table of them, and random ones."""
