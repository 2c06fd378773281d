"""Tests of servers in containers, where a Docker engine answers."""
