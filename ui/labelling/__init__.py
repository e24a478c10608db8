"""The Label page: which images the grid shows, what is done to the selected ones, and what became of it."""
