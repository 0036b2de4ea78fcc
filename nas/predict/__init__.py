"""Surrogates: the latency of a network that nobody has timed, with an interval that holds."""
