"""Draft of a target: what a database and a Prometheus show, written down for a person to correct."""
