"""The ten stages and the commands across them, for programs: a module for each command, with a function `run`.

`run` takes a `Context`, which the caller builds once, and returns a frozen dataclass. It prints nothing, reads no environment but the
context's, and reports progress to a callback.
"""
