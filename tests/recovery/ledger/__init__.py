"""Tests of recovery/ledger."""
