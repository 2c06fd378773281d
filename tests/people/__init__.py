"""Tests of `opsverify.people`."""
