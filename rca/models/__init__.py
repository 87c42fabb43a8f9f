"""What happened inside the model's world: which columns moved, which contributions moved, whom it reached."""
