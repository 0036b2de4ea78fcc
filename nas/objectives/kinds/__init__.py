"""One file per objective; each registers itself when the registry is first read."""
