"""Helpers of the tests: what they import, and never from each other."""
