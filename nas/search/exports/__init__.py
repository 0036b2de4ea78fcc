"""A run in the formats of other tools: tables, Optuna's studies, TensorBoard's curves.

Each is made from the log alone, and nothing reads one back: the run folder stays the one truth.
"""
