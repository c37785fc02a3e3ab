"""Recipe files: the published ones by name, and the users' own."""
