"""Tests of passerelle.

Modules and fixtures are millions of objects that stay; with the interpreter's own threshold, a quarter of the time of a collection of
tests goes into the search for garbage among them.
"""

import gc

gc.set_threshold(100_000, 50, 100)
