"""WAL: positions, archived segments, timelines, commits, and continuity."""
