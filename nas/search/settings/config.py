"""The config of a search: one frozen model per part, every field with its meaning and unit.

A run keeps the resolved config word for word in `run.yaml`, the space's declaration included, so
that a run can be resumed anywhere without the files it was started from. Presets change budgets
only, and what the user writes wins over them; `nas.search.settings.resolve` does both.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from nas.objectives.latency_config import Dtype
from nas.search.confirm.rival_settings import EqualCostConfig, SweepConfig
from nas.search.settings.executor import ExecutorConfig
from nas.search.settings.latency import LatencySearchConfig
from nas.supernet.relaxation_config import RelaxationSettings
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.sharing_config import SharingConfig
from nas.training.recipe import Recipe

SCHEMA = "nas.search/1"
Preset = Literal["smoke", "small", "full"]

Threads = Annotated[int, Field(ge=1, le=1024)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
PositiveCount = Annotated[int, Field(ge=1, le=1_000_000)]
Seconds = Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Factors = Annotated[list[Rate], Field(min_length=1, max_length=16)]


class _Part(BaseModel):
    """A frozen part of the config that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


@final
class PathTrainingConfig(_Part):
    """How the shared weights are trained, on members that a sampler draws."""

    sampler: str | dict[str, Any] = "uniform"
    """Which members a step trains: `uniform`, `weighted`, `fair`, `sandwich`, `batch_split`,
    `nested`, `shrinking`, `attentive`, `surrogate`, `preferred`, `partition` or `blockwise`; with
    options as `{name: sandwich, members: 2}`."""

    distillation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the loss against the soft labels of the largest member; the rest is against the
    labels. Stands in every result."""

    epochs: PositiveCount = 60
    """Passes over the weights' part of the training images."""

    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = 64
    """Images per step."""

    learning_rate: Rate = 0.05
    """Largest learning rate of the cosine schedule."""

    warmup_epochs: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Epochs in which the learning rate rises linearly."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Nesterov momentum."""

    weight_decay: Annotated[float, Field(ge=0, le=10)] = 5e-4
    """Decay of kernels and matrices."""

    gradient_clip: Annotated[float, Field(gt=0, le=1e6)] | None = 5.0
    """Largest norm of a step's gradient; null does not clip."""

    augmentation: Literal["none", "flip_crop", "shift"] = "none"
    """As in the recipe of `confirm`."""

    checkpoint_every_s: Annotated[float, Field(ge=0, le=1e6)] = 30.0
    """Time between two checkpoints at ends of epochs, in seconds; 0 keeps every epoch."""


@final
class RelaxationConfig(RelaxationSettings):
    """The DARTS-style relaxation of edges, merges and operations."""

    enabled: bool = True
    """Whether gates are trained at all; without them no member is preferred beforehand."""

    epochs: PositiveCount = 15
    """Passes over the weights' part; each step is paired with one on the gates' part."""

    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = 64
    """Images per step of weights and of gates."""

    learning_rate: Rate = 0.05
    """Learning rate of the weights during the relaxation."""

    proposals: Count = 8
    """Members that the trained gates prefer, proposed to the search first."""


@final
class SupernetConfig(_Part):
    """The supernet: shared weights, their training, and the relaxation before it."""

    sharing: str | SharingConfig = "position"
    """Which members share weights: `position`, `role`, `family`, `none` or `auto`; or one policy
    per kind of number, such as `{weights: position, norms: family}`."""

    weights: Literal["shared", "hypernetwork"] = "shared"
    """Where the kernels that score members come from: shared slots, or a small network that reads
    the member's graph and emits them."""

    threads: Threads = 1
    """CPU threads while training; kept because results are bit-identical for one number only."""

    recalibration: Recalibration = Recalibration()
    """How a member's batch-norm statistics are measured before it is scored."""

    validation_images: PositiveCount | None = None
    """Most validation images that score a member; null takes all."""

    training: PathTrainingConfig = PathTrainingConfig()
    """How the shared weights are trained."""

    relaxation: RelaxationConfig = RelaxationConfig()
    """How the gates are trained."""


@final
class ExploreConfig(_Part):
    """The outer search over members with inherited weights."""

    sampler: str = "nsga2"
    """Who proposes: `nsga2`, `tpe`, `gp` or `random`."""

    trials: PositiveCount = 200
    """Distinct members to evaluate, failed ones included."""

    batch: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Proposals that see the same results; never derived from the number of workers."""

    order: Literal["deterministic", "asynchronous"] = "deterministic"
    """`deterministic`: one seed gives one search, however many workers or crashes it meets.
    `asynchronous`: a free worker gets a proposal at once, made from all results so far; the log
    keeps the order in which they came."""

    trial_timeout_s: Seconds = 600.0
    """Wall-clock limit of one evaluation, in seconds."""

    threads_per_evaluation: Threads = 1
    """CPU threads of one evaluation."""

    seed_known_wirings: bool = True
    """Propose the hand-made wirings of the space first."""


@final
class BaselinesConfig(_Part):
    """How many networks the rivals of `confirm.rivals` bring."""

    hand_made: Count = 8
    """Most hand-made wirings of the same space (`space_wirings`, `swept_wirings`)."""

    random: Count = 3
    """Random members of the same space (`random_members`)."""

    equal_cost: EqualCostConfig = EqualCostConfig()
    """Random search that costs what the search did (`random_halving`, `random_weight_sharing`)."""

    sweep: SweepConfig = SweepConfig()
    """Hand-made families in several sizes (`swept_wirings`, `swept_published`)."""


def _check_varied(changed: dict[str, float]) -> None:
    """Refuse a varied recipe in the words of what was typed, not of what came of it."""
    for name, most in (("learning_rate", 100), ("weight_decay", 10)):
        if changed[name] > most:
            raise ValueError(
                f"recipes make a {name} of {changed[name]:g}, at most {most} is possible: lower "
                f"its factors"
            )


@final
class RecipesConfig(_Part):
    """Recipes under which the named networks are trained again, on validation: rates x decays."""

    rate_factors: Factors = [0.4, 1.0, 2.5]
    """Learning rates, as multiples of the recipe's."""

    decay_factors: Factors = [1.0, 0.2]
    """Weight decays, as multiples of the recipe's."""

    seeds: PositiveCount = 1
    """Trainings per network and recipe, with the first of seeds A; at most as many as those."""

    @model_validator(mode="after")
    def _enough_to_rank(self) -> Self:
        count = len(self.rate_factors) * len(self.decay_factors)
        if count == 2:
            raise ValueError(
                "2 recipes say nothing about the stability of a ranking: declare at least 3, or "
                "1 to leave this out"
            )
        return self


@final
class ConfirmConfig(_Part):
    """The confirmation: a shortlist trained alone beside rivals, and what it allows to claim."""

    enabled: bool = True
    """Whether the front is confirmed at the end of the search."""

    bins: Annotated[int, Field(ge=1, le=100)] = 3
    """Most ranges of latency, in each of which one network is named; without latency they lie
    along the first cost that is searched."""

    shortlist: Annotated[int, Field(ge=1, le=10_000)] = 3
    """Most points of the front per bin that are trained alone, the best on validation."""

    rivals: list[str] = [
        "swept_wirings",
        "swept_published",
        "random_members",
        "random_halving",
        "random_weight_sharing",
    ]
    """Who stands beside the shortlist; the best of each kind in a bin is its candidate's rival."""

    seeds_a: Annotated[int, Field(ge=1, le=1000)] = 2
    """Trainings per network that rank it, on the validation images."""

    seeds_b: Annotated[int, Field(ge=2, le=1000)] = 10
    """Fresh trainings of each named network and its rivals, each tested once; a claim takes at
    least 5, and with 10 a gain of two standard deviations of a training is rarely missed."""

    recipes: RecipesConfig = RecipesConfig()
    """Other recipes of the named networks and their rivals."""

    test_images: PositiveCount | None = None
    """Most test images that a training is tested on, the same for all; null takes all."""

    recipe: Recipe = Recipe(epochs=60, batch_size=64)
    """The one recipe of all trainings with seeds A and B."""

    baselines: BaselinesConfig = BaselinesConfig()
    """How many networks the rivals bring."""

    timeout_s: Seconds = 86_400.0
    """Wall-clock limit of one training, in seconds."""

    checkpoint_every_s: Annotated[float, Field(ge=0, le=1e6)] = 30.0
    """Time after which the state of a training is kept anew, here and in `nas supernet rank`, in
    seconds; 0 keeps it after every step."""

    early_stopping: Literal["none", "asha"] = "none"
    """Whether trainings with seeds A that lag behind others are stopped (`asha`, on Ray alone). A
    network with a stopped training cannot be named; seeds B and truths always train to the end."""

    @model_validator(mode="after")
    def _recipes_that_can_be(self) -> Self:
        if self.recipes.seeds > self.seeds_a:
            raise ValueError(
                f"recipes.seeds is {self.recipes.seeds}, but there are {self.seeds_a} seeds A"
            )
        self.varied_recipes()
        return self

    def varied_recipes(self) -> list[Recipe]:
        """Return the recipes to compare; that of seeds A and B comes first."""
        found = [self.recipe]
        for rate in self.recipes.rate_factors:
            for decay in self.recipes.decay_factors:
                changed = {
                    "learning_rate": self.recipe.learning_rate * rate,
                    "weight_decay": self.recipe.weight_decay * decay,
                }
                _check_varied(changed)
                varied = Recipe.model_validate({**self.recipe.as_dict(), **changed})
                if varied.recipe_hash not in {each.recipe_hash for each in found}:
                    found.append(varied)
        return found


@final
class QuantisationConfig(_Part):
    """Number formats that are searched with the architecture, for objectives that name `policy`."""

    policies: Annotated[list[Dtype], Field(min_length=2, max_length=5)] = ["fp32", "int8"]
    """Number formats on offer; hand-made wirings start with the first."""

    per: Literal["network", "stage"] = "network"
    """Whether a network has one number format or each of its stages one."""

    @field_validator("policies")
    @classmethod
    def _check_distinct(cls, policies: list[Dtype]) -> list[Dtype]:
        if len(set(policies)) < len(policies):
            raise ValueError(f"{', '.join(policies)} names a number format twice")
        return policies


@final
class SearchConfig(_Part):
    """Everything that decides a search."""

    schema_: Literal["nas.search/1"] = Field(default="nas.search/1", alias="schema")
    """What this file is."""

    space: str | dict[str, Any]
    """Name or path of a search space, or its declaration inline."""

    data: str = "digits"
    """`digits`, an .npz file, a folder of images, MNIST or CIFAR files, or module:function."""

    image_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Side to which images are scaled, in pixels; null keeps theirs."""

    max_train_images: PositiveCount | None = None
    """Most training images used, the same for all trainings; null uses all."""

    max_train_megapixels: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Most training images used, counted in millions of pixels, so that larger images cost no
    more; null sets no limit."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the whole run; each draw uses H(seed, purpose, index)."""

    preset: Preset = "small"
    """Budgets: `smoke` (minutes), `small` or `full`; keys that are written win over it."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:0` or `mps`."""

    objectives: Annotated[list[str], Field(min_length=1, max_length=8)] = [
        "cross_entropy",
        "latency",
    ]
    """Numbers to minimise."""

    constraints: dict[str, Any] | list[Any] | str = {}
    """Bounds by objective, in its unit: `{latency: {max: 2.0}}`, or `latency <= 2 ms`. A member
    outside is recorded and never on the front."""

    supernet: SupernetConfig = SupernetConfig()
    """Shared weights and relaxation."""

    search: ExploreConfig = ExploreConfig()
    """The outer search."""

    confirm: ConfirmConfig = ConfirmConfig()
    """Trainings from scratch of the front and of its baselines."""

    executor: ExecutorConfig = ExecutorConfig()
    """Where evaluations run."""

    latency: LatencySearchConfig = LatencySearchConfig()
    """How latency is measured, and where it is predicted instead."""

    quantisation: QuantisationConfig | None = None
    """Number formats to be searched with the architecture; null searches none."""

    plugins: list[str] = []
    """Modules that register own operations, merges, patterns or objectives."""

    def to_dict(self) -> dict[str, Any]:
        """Return the config as plain values, keys as in the file."""
        return self.model_dump(mode="json", by_alias=True)
