"""Tests of LLM operations."""
