"""Settings of relaxed training, and the presets that stand for published methods.

A relaxation is put together from orthogonal parts: how gates are sampled, what is partial, how
weights and gates alternate, what regularises, which rules act during the training, and how the
result becomes discrete. Each is one line; a preset is nothing but a set of such lines, and what is
written beside it wins. torch is not imported here, since a search's config is checked without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

PartLine = str | dict[str, Any]
"""A part's registered name, or a mapping with `name` and options."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@final
class GatesConfig(_Settings):
    """How the logits of a choice become the values of its gates."""

    options: PartLine = "softmax"
    """Of choices among operations and merges."""

    edges: PartLine = "sigmoid"
    """Of sets of edges."""


@final
class TemperatureConfig(_Settings):
    """Temperature of the gate samplers; it moves geometrically from the first step to the last."""

    start: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    """At the first step that moves gates."""

    end: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    """At the last step."""

    def at(self, progress: float) -> float:
        """Return the temperature at a share of the training from 0 to 1."""
        return float(self.start * (self.end / self.start) ** progress)


class RelaxationSettings(_Settings):
    """Everything about a relaxation but the length of its training."""

    preset: str | None = None
    """Published method whose lines lie under these; null for none."""

    gates: GatesConfig = GatesConfig()
    """Gate samplers."""

    temperature: TemperatureConfig = TemperatureConfig()
    """Of the gate samplers."""

    operations: Literal["sampled", "mixed"] = "sampled"
    """Operations of a node: one is drawn per step, or all of them run and are mixed."""

    partial: PartLine = "none"
    """Which part of the states goes through the mixed operations."""

    alternation: PartLine = "first_order"
    """How weights and gates take turns."""

    regularisers: list[PartLine] = []
    """Terms added to the loss of the gates."""

    rules: list[PartLine] = []
    """What acts on weights or gates during the training: distillation, pruning, growth."""

    discretisation: PartLine = "threshold"
    """How gates become a member."""

    gate_learning_rate: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 0.02
    """Learning rate of Adam on the logits."""

    gate_weight_decay: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    """Decay of the logits towards 0, added to their gradient."""

    gate_warmup_epochs: Annotated[float, Field(ge=0, le=1000)] = 2.0
    """Epochs that train the weights alone: fresh weights say nothing about connections."""

    remedies: bool = True
    """Whether an alarm's remedy is taken; the alarm itself is always recorded."""

    @model_validator(mode="before")
    @classmethod
    def _on_preset(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("preset"), str):
            return data
        # An unknown name is refused where the key is checked.
        return _under(RELAXATION_PRESETS.get(data["preset"], {}), data)

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, name: str | None) -> str | None:
        if name is not None and name not in RELAXATION_PRESETS:
            raise ValueError(f"the presets are {', '.join(sorted(RELAXATION_PRESETS))}")
        return name


def _under(preset: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with what it leaves open filled from the preset, key by key."""
    merged = {**preset, **data}
    for key in ("gates", "temperature"):
        below, above = preset.get(key), data.get(key)
        if isinstance(below, Mapping) and isinstance(above, Mapping):
            merged[key] = {**below, **above}
    return merged


RELAXATION_PRESETS: Final[dict[str, dict[str, Any]]] = {
    # Liu et al. 2019, arXiv:1806.09055; first-order form
    "darts": {"operations": "mixed", "alternation": "first_order", "gate_weight_decay": 1e-3},
    # Liu et al. 2019, arXiv:1806.09055; equation 7, exact
    "darts-2nd": {"operations": "mixed", "alternation": "second_order", "gate_weight_decay": 1e-3},
    # Wortsman et al. 2019, arXiv:1906.00586
    "dnw": {"gates": {"edges": "top_edges"}, "alternation": "one_level"},
    # Gu et al. 2021, arXiv:2010.04969
    "dots": {
        "operations": "mixed",
        "gates": {"edges": "k_subsets"},
        "temperature": {"start": 10.0, "end": 0.02},
    },
    # Chen et al. 2021, arXiv:2006.10355
    "drnas": {"operations": "mixed", "gates": {"options": "dirichlet"}},
    # Dong and Yang 2019, arXiv:1910.04465
    "gdas": {
        "operations": "mixed",
        "gates": {"options": "gumbel_hard"},
        "temperature": {"start": 10.0, "end": 0.1},
        "gate_weight_decay": 1e-3,
    },
    # Bi et al. 2020, arXiv:2007.03331
    "gold": {
        "operations": "mixed",
        "alternation": "one_level",
        "rules": ["gradual_pruning"],
    },
    # Xu et al. 2020, arXiv:1907.05737
    "pc-darts": {
        "operations": "mixed",
        "partial": {"name": "channels", "divisor": 4, "edge_normalisation": True},
        "gate_weight_decay": 1e-3,
    },
    # Jin et al. 2019, arXiv:1912.12814; the budget is half of the largest member's MACs
    "rc-darts": {
        "operations": "mixed",
        "gate_weight_decay": 1e-3,
        "rules": [{"name": "projection", "macs_share": 0.5}],
        "discretisation": {"name": "budget", "macs_share": 0.5},
    },
    # Zhu et al. 2023, arXiv:2302.05629
    "sd-darts": {
        "operations": "mixed",
        "rules": ["self_distillation"],
        "gate_weight_decay": 1e-3,
    },
    # Yuan et al. 2020, arXiv:2008.08261
    "toponet": {"gates": {"edges": "toponet"}, "alternation": "one_level"},
}
"""Lines by name of the method; the paper stands beside each."""
