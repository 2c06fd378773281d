"""Docs: tables that copy the code, examples that run, names that exist."""
