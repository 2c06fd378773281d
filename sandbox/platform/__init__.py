"""Judgment platform: the service in two versions, its external systems, and its users."""
