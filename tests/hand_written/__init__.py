"""Published networks as plain torch modules, written from the papers: oracles of the tests.

They import nothing of the engine. Modules are registered in the order in which a wiring would name
its nodes, and tensors are concatenated oldest first, so that weights can be copied one by one; the
order of a concatenation only permutes the weights behind it.
"""
