"""Parts of the benchmark of scaling: long runs in a moment, and clusters that are simulated."""
