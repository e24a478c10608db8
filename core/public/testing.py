"""Contract checks for plugin authors."""
