"""Whole tables: a split of a table in, a scored file out; driven by processes."""
