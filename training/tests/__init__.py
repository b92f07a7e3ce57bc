"""The tests of what this project trains."""
