"""Tests of recovery/postgres."""
