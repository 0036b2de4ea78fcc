"""Shapes, adapters, parameters, multiply-adds, bytes and critical path by arithmetic, no torch."""
