"""Canary: a window is observed, counted, and decided on by statistics that hold at every step."""
