"""Smoke: journeys through the platform as its users make them, and the removal of what they wrote."""
