"""The embedded platform: a local S3 server and an MLflow server as child processes."""
