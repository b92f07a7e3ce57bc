"""The environment of an adopted model: what the model asks for, locked once, and made in the cache of this machine."""
