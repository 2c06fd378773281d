"""Tests of `opsverify.periodic`."""
