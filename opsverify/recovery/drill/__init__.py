"""Drill: a restore of the real backup beside production, verified, timed and thrown away."""
