"""Tests of the on-call schedule."""
