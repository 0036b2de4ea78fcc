"""A front with its uncertainty, read from the log of a run; `nas.search.front_view` is its door."""
