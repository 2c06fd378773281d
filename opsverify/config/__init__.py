"""Configuration: a TOML file becomes a `Target`; every fault of the file is named at once."""
