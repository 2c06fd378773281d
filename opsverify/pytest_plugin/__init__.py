"""pytest plugin: the one package that knows pytest. Hooks, options, fixtures, terminal, exit status."""
