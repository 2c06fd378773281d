"""On-call schedule: who is reachable when, on which level, read from the calendars that people really keep."""
