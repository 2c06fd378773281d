"""Tests of recovery/rpo."""
