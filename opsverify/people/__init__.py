"""People: what only a person can confirm, signed for in a log that shows what was taken out of it."""
