"""Searches on clusters: submitting them, a local head, manifests. Runs no search itself."""
