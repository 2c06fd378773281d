"""Rights in a database: what each role may do, compared with a declared list."""
