"""The confirm stage: what a search claims, and why it may.

    stage.py      takes a run from its front to its verdicts, resumable
    protocol.py   the decisions as pure functions of numbers: bins, naming, verdicts
    arms/         where the networks come from
    view.py       what the log says of it, for tables and front.json

The modules are imported one by one: views of a front must not load what trains networks.
"""
