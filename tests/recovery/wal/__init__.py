"""Tests of recovery/wal."""
