"""Zero-cost scores: what an untrained network tells about its trained self, from one batch."""
