"""Wiring as data: graphs, operations and merges, patterns, identity and edits, without torch."""
