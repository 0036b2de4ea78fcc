"""Data sets, splits, recipes and the one fit loop that every training in this package uses."""
