"""Tests of recovery/restore."""
