"""The Statistics page: how one checkpoint of one model did, in figures, curves and pictures."""
