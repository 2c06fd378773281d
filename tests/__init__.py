"""Tests of the library, its suites and its sandbox."""
