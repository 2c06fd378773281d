"""Backups, whatever made them: what they say of themselves, and whether they are whole."""
