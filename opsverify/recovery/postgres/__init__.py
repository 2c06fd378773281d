"""PostgreSQL on this machine: its tools, a server of ours, a session with it."""
