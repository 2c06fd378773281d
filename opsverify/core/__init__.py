"""Core: the words of a verdict, from a line of the runbook to the decision. Pure: it contacts nothing."""
