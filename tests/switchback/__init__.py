"""Tests of switchback."""
