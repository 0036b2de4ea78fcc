"""Training inside a search: shared weights, and networks from scratch, left and gone on with."""
