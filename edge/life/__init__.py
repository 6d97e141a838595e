"""Remaining lives at the edge: signed model files scored on what its machines tell, with no network."""
