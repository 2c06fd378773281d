"""Core: the parts of a verdict, from a line of the runbook to the decision. Pure: contacts nothing."""
