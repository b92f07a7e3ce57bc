"""Bring a bento into service and hold it to its golden predictions."""
