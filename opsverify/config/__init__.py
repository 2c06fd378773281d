"""Configuration: a TOML file becomes a `Target`; all problems of the file are reported at once."""
