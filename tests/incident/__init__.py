"""Tests of incident."""
