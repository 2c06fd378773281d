"""Evidence: what a run leaves behind, and how anybody can tell later that it was not touched."""
