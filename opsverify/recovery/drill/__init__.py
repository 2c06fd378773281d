"""Drill: a restore of the real backup apart from production, verified, timed and thrown away."""
