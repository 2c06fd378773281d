"""Loads the plugin, nothing else."""

pytest_plugins = ["opsverify.pytest_plugin.plugin"]
