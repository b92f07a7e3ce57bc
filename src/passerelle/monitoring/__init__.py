"""Metrics, access log and prediction log of the running service."""
