"""A service that follows the registry while one thing after the other fails, under traffic whose every answer is checked."""
