"""Tests of canary."""
