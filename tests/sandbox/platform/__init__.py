"""Tests of sandbox/platform."""
