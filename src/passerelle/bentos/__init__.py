"""The BentoML store: import a model version, build a bento, make an image."""
