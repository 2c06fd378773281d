"""Periodic checks: what the daily, weekly, monthly and quarterly lines measure, one module a subject."""
