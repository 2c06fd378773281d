"""The canary gate: statistics of a watched window; knows nothing of pytest."""
