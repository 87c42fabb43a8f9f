"""What happened between systems: their dependencies, their metrics, and the changes made to them."""
