"""RPO and RTO: what was lost and how long it took, by independent sources."""
