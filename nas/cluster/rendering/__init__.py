"""Manifests for clusters of other people: one file per kind of scheduler, found by name."""

from nas.cluster.rendering.base import RENDERINGS, JobDescription, render

__all__ = ["RENDERINGS", "JobDescription", "render"]
