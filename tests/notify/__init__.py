"""Notifications: each change told once, nothing lost, no secret shown."""
