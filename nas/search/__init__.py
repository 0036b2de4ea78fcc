"""The outer search: propose, evaluate, record; samplers, executors, confirmation and front.

Only the driver writes the run folder. Everything that decides a search is in its config and its
log; samplers and executors behind their contracts only spread the work.
"""
