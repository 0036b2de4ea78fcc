"""What `benchmarks/reliability.py` compares, one file per rival, and what it does to them."""
