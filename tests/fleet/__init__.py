"""Tests of opsverify.fleet."""
