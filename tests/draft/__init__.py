"""Tests of the draft of a target."""
