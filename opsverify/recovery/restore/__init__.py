"""Restore of a backup: checked beforehand, carried out, measured, and explained where it ends early."""
