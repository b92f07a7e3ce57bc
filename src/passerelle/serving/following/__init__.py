"""Following the registry: the running service answers with the version that an alias points to."""
