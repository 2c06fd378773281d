"""Loads the plugin for plain pytest; the command line has loaded it before."""

import sys

if "opsverify.pytest_plugin.plugin" not in sys.modules:  # pytest accepts the list in the rootdir's conftest.py only
    pytest_plugins = ["opsverify.pytest_plugin.plugin"]
