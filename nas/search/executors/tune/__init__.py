"""Trainings as experiments of Ray Tune. Nothing here is imported before a search uses it."""
