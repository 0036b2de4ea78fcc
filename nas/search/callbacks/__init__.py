"""Telling other tools of a search while it runs: MLflow, Weights & Biases, or your own.

A callback reads the run folder and nothing else, so it can neither change a result nor break a
search: one that fails is left out from then on, with a warning. On a resumed run it is told the
whole log from its beginning.

    from nas.search.callbacks import MlflowCallback

    nas.search("wired_cnn", data="digits", callbacks=[MlflowCallback("wirings")])
"""

from nas.search.callbacks.base import AbstractCallback, telling
from nas.search.callbacks.mlflow import MlflowCallback
from nas.search.callbacks.wandb import WandbCallback

__all__ = ["AbstractCallback", "MlflowCallback", "WandbCallback", "telling"]
