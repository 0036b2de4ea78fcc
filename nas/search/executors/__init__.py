"""Executors: where evaluations run; they never change what comes out. The only home of Ray."""

from nas.search.executors.base import EXECUTORS, AbstractExecutor, Job, Outcome, Setup

__all__ = ["EXECUTORS", "AbstractExecutor", "Job", "Outcome", "Setup"]
