"""What a relaxed member costs: expectations, limits, and what rules prune to stay within them."""
