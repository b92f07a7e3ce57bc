"""The pages for people, mounted in BentoML's service."""
