"""Clients that mean ill, each a process of its own, for the load test of bad clients."""
