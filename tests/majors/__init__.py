"""Other major versions of PostgreSQL than the sandbox's, on which tests record and compare databases."""
