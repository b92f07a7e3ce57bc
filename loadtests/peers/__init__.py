"""What a user would take instead, each as its own documentation shows it."""
