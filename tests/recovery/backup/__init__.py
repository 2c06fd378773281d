"""Tests of recovery/backup."""
