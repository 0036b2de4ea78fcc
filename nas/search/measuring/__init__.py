"""Coming by latencies: on this device, on a node of a cluster, predicted, or of the front alone."""
