"""Tests of the language: messages, their catalogue, and that every message is in it."""
