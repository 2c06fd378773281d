"""An incident as a recorded timeline: the runbook's seven steps, who and when, and what was proven between them."""
