"""Restore of a backup: checked beforehand, carried out, measured, and diagnosed where it ends early."""
