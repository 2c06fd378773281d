"""Two regions on this machine: PostgreSQL twice, streaming from one to the other; resolvers and ingresses.

The ordinary sandbox neither starts nor needs any of it. `pair.Regions` brings them up, loses one, and
switches back; `opsverify sandbox regions VERB` does the same by hand.
"""
