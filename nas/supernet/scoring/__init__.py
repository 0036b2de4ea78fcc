"""Inherited scores: members measured with the shared weights, many at once."""
