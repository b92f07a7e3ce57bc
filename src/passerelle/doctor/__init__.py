"""Probes of everything that the project needs, one file a subject: each looks, changes nothing, and says what mends what it finds."""
