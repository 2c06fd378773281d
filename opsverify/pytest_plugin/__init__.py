"""Plugin of pytest: the one package that imports its hooks. Hooks, options, fixtures, terminal, exit status."""
