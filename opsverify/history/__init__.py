"""History: what earlier runs measured, and which of it may be compared with today."""
