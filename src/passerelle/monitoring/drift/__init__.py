"""Drift: the answers of a week next to the month before and to the training, and when a difference is an alarm."""
