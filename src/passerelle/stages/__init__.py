"""The ten stages and the commands across them, as functions: settings in, a frozen dataclass out; they print nothing."""
