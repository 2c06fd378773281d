"""Tests of opsverify.rights."""
