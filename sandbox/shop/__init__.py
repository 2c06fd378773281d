"""A second stand-in platform, a shop, that has nothing in common with the judgment platform."""
