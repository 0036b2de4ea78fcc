"""Samplers: one file per algorithm, all behind one contract; the only home of Optuna.

A sampler is a pure function of recorded results. It builds its study anew from the records of the
run for every batch of proposals, so a resumed run, another number of workers or a crash between
two batches give the same search. What an algorithm must remember of a proposal (the generation of
a genetic algorithm) travels in the proposal's `state` and comes back with its record.
"""

from nas.search.samplers.base import SAMPLERS, AbstractSampler, Observation, Proposal

__all__ = ["SAMPLERS", "AbstractSampler", "Observation", "Proposal"]
