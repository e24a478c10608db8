"""The Train page in its parts: kind, labels, advanced view, what it will take, Start, what became of it."""
