"""Metrics: numbers out of raw samples of counters."""
