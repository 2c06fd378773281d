"""Tests of recovery/verify."""
