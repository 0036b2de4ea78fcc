"""From a torch module to the architecture that computes the same: see `nas.model.from_module`.

`tracing` runs the module on tensors without numbers and records its calls; `values` holds what was
computed as steps, `translation` makes them of the calls (`leaves`, `modules` and `functions` know
what a call means), and `assembly` joins steps into the nodes and edges of an architecture.
"""
