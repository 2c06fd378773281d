"""Verification of a restored database against the ledger, and against itself."""
