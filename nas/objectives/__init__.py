"""From an architecture to one number: error, cross-entropy, latency and counted costs."""
