"""What workers prepare once for the two kinds of work that several stages share."""

from __future__ import annotations

from nas.search.executors import Setup
from nas.search.session import Session
from nas.search.tasks import SCORE
from nas.search.training.retrain_task import RETRAIN


def scoring_setup(session: Session, weights: str | None) -> Setup:
    """Return the setup for scoring members.

    Args:
        session: The session.
        weights: SHA-256 of the shared weights; None where no objective needs any.
    """
    data = session.material.data
    return Setup(
        SCORE,
        {
            "config": session.config.to_dict(),
            "run": str(session.run.path),
            "weights": weights,
            "fingerprint": data.fingerprint,
            "input_shape": list(data.input_shape),
            "num_classes": data.num_classes,
            "device": str(session.device),
        },
        threads=session.config.search.threads_per_evaluation,
        timeout_s=session.config.search.trial_timeout_s,
        memory_gib=session.config.executor.memory_gib,
        weights=() if weights is None else (weights,),
        members_per_call=1 if weights is None else session.config.executor.members_per_call,
    )


def retraining_setup(session: Session) -> Setup:
    """Return the setup for training networks alone, as the confirmation and its rivals do."""
    return Setup(
        RETRAIN,
        {
            "config": session.config.to_dict(),
            "fingerprint": session.material.data.fingerprint,
            "device": str(session.device),
        },
        threads=session.config.search.threads_per_evaluation,
        timeout_s=session.config.confirm.timeout_s,
        memory_gib=session.config.executor.memory_gib,
    )
