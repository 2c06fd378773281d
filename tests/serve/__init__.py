"""Tests of the gate of pipelines."""
