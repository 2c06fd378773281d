"""Fleet: one stage on many targets, a process and an evidence folder each, and the one verdict over all of them."""
