"""Shared weights, relaxations, path sampling, inherited scores; import the modules by name."""
