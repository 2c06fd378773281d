"""Notifications: changes of a stage's state, sent once to each receiver that the target names."""
