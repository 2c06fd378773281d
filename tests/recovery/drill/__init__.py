"""Tests of recovery/drill."""
