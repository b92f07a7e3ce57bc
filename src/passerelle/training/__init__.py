"""The library half of training: data, splits, figures and runs; a project's candidates are handed in."""
