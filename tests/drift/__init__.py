"""Simulated months of answers: how often quiet days raise an alarm, how soon drift does, and what the report shows of it."""
