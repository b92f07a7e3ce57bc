"""Fuzzing that looks for new paths through the code: Atheris on the reader of bodies and on the parser of heads."""
