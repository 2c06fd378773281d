"""Carrying out what a verdict decided: who may, which steps, in which order, and the record of all of it."""
