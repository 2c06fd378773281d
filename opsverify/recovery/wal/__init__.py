"""WAL: positions, archived segments, timelines, commits, and whether one follows the other."""
