"""Playbooks of incidents: the fault that was seen, the remedy in force, what is confirmed afterwards."""
