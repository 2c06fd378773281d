"""The judgment platform itself: the service in two versions, what it talks to, and who calls it."""
