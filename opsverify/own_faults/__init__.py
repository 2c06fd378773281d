"""Faults of one's own: rows beside the own checks of a project, and the proof that each makes its checks fail."""
