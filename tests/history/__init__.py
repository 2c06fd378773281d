"""Tests of `opsverify.history`."""
