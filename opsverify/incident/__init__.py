"""Incident: the timeline of a recovery and its switchback, step by step, who and when, with the evidence of each."""
