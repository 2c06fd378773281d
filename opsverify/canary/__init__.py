"""Canary: a window observed, counted, and judged by statistics that hold at every moment."""
