"""The foreign protocols, in process."""
