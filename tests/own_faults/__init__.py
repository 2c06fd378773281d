"""Tests of `opsverify.own_faults`."""
