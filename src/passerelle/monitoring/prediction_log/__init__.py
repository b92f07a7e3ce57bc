"""The prediction log: what is recorded of each answer, written beside the request and never in its way."""
