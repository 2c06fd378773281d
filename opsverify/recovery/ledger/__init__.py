"""Ledger: what was recorded of a database before a disaster, hash-chained."""
