"""Proposing members, having them scored, and recording what became of them."""
