"""REST routes; they arrive with `fieldmark serve`."""
