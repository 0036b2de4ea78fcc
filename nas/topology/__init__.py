"""Wiring as data: graphs, operation and merge facts, patterns, identity and edits, without torch."""
