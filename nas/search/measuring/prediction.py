"""Predicted latencies in a search: of this device, to steer it, and of others, as columns.

Profiles are read and checked before a run is made, and their content is a record of its log, so a
run goes on without the files it was started from. What was measured since is taken into account by
whoever resumes: a prediction is a function of the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self, final

from nas.errors import ConfigError, NasError
from nas.objectives.base import AbstractObjective, Measurement
from nas.objectives.elsewhere import LatencyElsewhere
from nas.predict.profile import LatencyProfile
from nas.run_store import Run
from nas.search.checks.device_check import MEASURED_ON
from nas.search.material import Material
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.sent_files import located
from nas.space import AbstractSpace
from nas.topology.graph import Architecture
from nas.topology.serial import load_architecture
from nas.units import Unit

if TYPE_CHECKING:
    from nas.predict.latency_predictor import LatencyPredictor, Prediction
    from nas.search.session import Session

PROFILE_KIND: Final = "latency_profile"
HERE: Final = None
"""Column of the device that the search runs on."""

_STANDARD_ERRORS: Final = 1.96
"""Of a prediction, from its value to either end of its 95 % interval."""

_BUILD: Final = "`nas latency build SPACE` makes one for the space, images and runtime of a search."


@final
@dataclass(frozen=True)
class Profiles:
    """The profiles of a search.

    Args:
        by_column: By name of the device in the config; `HERE` is this one.
    """

    by_column: Mapping[str | None, LatencyProfile] = field(default_factory=dict)

    @classmethod
    def load(cls, config: SearchConfig) -> Self:
        """Read the files that a config names.

        Raises:
            NotFoundError: If one does not exist; ConfigError if it is no profile, or if an
                objective names a device without one.
        """
        latency = config.latency
        named = {each.column for each in Goals.of(config).elsewhere}
        for column in sorted(named - set(latency.devices)):
            raise ConfigError(
                f"An objective is on the device '{column}', which has no profile.",
                where="latency.devices",
                fix=f"Write 'latency: {{devices: {{{column}: FILE}}}}'. {_BUILD}",
            )
        paths: dict[str | None, str] = {column: latency.devices[column] for column in sorted(named)}
        if latency.profile is not None:
            paths[HERE] = latency.profile
        return cls({column: _load(path, column) for column, path in paths.items()})

    @classmethod
    def of_run(cls, run: Run) -> Self:
        """Read the profiles that a run keeps."""
        return cls(
            {
                record["column"]: LatencyProfile.model_validate(record["profile"])
                for record in run.records()
                if record["kind"] == PROFILE_KIND
            }
        )

    def records(self) -> Iterator[dict[str, Any]]:
        """Return the records that keep them in a run."""
        for column, profile in self.by_column.items():
            content = profile.model_dump(mode="json", by_alias=True)
            yield {"kind": PROFILE_KIND, "column": column, "profile": content}

    def check(
        self, config: SearchConfig, space: AbstractSpace, material: Material, device: str
    ) -> None:
        """Refuse profiles of something else than what is searched.

        Raises:
            ConfigError: If a profile is of another space, image, class count or runtime, or the one
                that steers is of another device or version than this one.
        """
        goals = Goals.of(config)
        for each in goals.elsewhere:
            self._check_fit(each.column, each.base, space, material)
        if HERE not in self.by_column:
            return
        steered = steered_by(self.by_column[HERE], goals)
        if not steered:
            raise ConfigError(
                f"The profile is of {self.by_column[HERE].objective}, which the search neither "
                "minimises nor bounds.",
                where="latency.profile",
                fix="Search with that objective, or leave the profile out.",
            )
        self._check_fit(HERE, steered[0].name, space, material)
        if config.executor.measure_on is None:  # else the node that measures is asked
            from nas.objectives.device_fingerprint import device_fingerprint

            self.check_device(device_fingerprint(device, config.latency.threads).to_dict())

    def _check_fit(
        self, column: str | None, objective: str, space: AbstractSpace, material: Material
    ) -> None:
        data = material.data
        found = self.by_column[column].misfits(
            space=space.fingerprint,
            input_shape=data.input_shape,
            num_classes=data.num_classes,
            objective=objective,
        )
        if found:
            raise ConfigError(
                f"The latency profile does not fit the search: {'; '.join(found)}.",
                where=_where(column),
                why="Other networks, images and runtimes take other times.",
                fix=_BUILD,
            )

    def check_device(self, here: Mapping[str, Any]) -> None:
        """Refuse a profile that steers and is of another device than the one that measures.

        Args:
            here: Fingerprint of that one.

        Raises:
            ConfigError: Naming what differs.
        """
        there = self.by_column[HERE].device.facts
        changed = [
            f"{name} is {there.get(name, 'unknown')} there and {here[name]} here"
            for name in MEASURED_ON
            if name in here and there.get(name) != here[name]
        ]
        if changed:
            raise ConfigError(
                f"The latency profile is of another device or version: {'; '.join(changed)}.",
                where=_where(HERE),
                why="What steers the search must predict what its front is measured on.",
                fix="Build one here, `nas latency build SPACE`, or make that device a column: "
                "'latency: {devices: {NAME: FILE}}' with the objective latency@NAME.",
            )


def keep_profiles(session: Session) -> None:
    """Write the profiles of a search into its log, unless they are there.

    Raises:
        NotFoundError: If a file is gone; ConfigError if it is another one by now.
    """
    kept = Profiles.of_run(session.run).by_column
    profiles = Profiles.load(session.config)
    profiles.check(session.config, session.space, session.material, str(session.device))
    for record in profiles.records():
        if record["column"] not in kept:
            session.run.append(record)


def steered_by(profile: LatencyProfile, goals: Goals) -> list[AbstractObjective]:
    """Return the measured objectives that a profile of this device predicts: one or none."""
    return [each for each in goals.measured if each.name == profile.objective]


def _load(path: str, column: str | None) -> LatencyProfile:
    try:
        return LatencyProfile.load(located(path))
    except NasError as error:
        error.where = f"{_where(column)}{f', {error.where}' if error.where else ''}"
        raise


def _where(column: str | None) -> str:
    return "latency.profile" if column is HERE else f"latency.devices.{column}"


@final
class Forecast:
    """Predicts for one session.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    @cached_property
    def _profiles(self) -> Profiles:
        return Profiles.of_run(self.session.run)

    @cached_property
    def _predictors(self) -> Mapping[str | None, LatencyPredictor]:
        profiles = self._profiles.by_column
        found = {column: profile.predictor() for column, profile in profiles.items()}
        for each in self.steered:
            self._observe(found[HERE], each.name)
        return found

    def _observe(self, predictor: LatencyPredictor, name: str) -> None:
        """Teach a predictor what the run has measured so far."""
        for trial in self.session.run.table().finished():
            if trial.values[name]["source"] == "measured":
                details = trial.extra.get("measurements", {}).get(name, {})
                predictor.observe(
                    load_architecture(trial.architecture),
                    trial.value(name),
                    float(details.get("relative_error", 0.0)),
                )

    @property
    def profile(self) -> LatencyProfile | None:
        """The profile of this device, None where the search measures instead."""
        return self._profiles.by_column[HERE] if self.steered else None

    @cached_property
    def steered(self) -> list[AbstractObjective]:
        """Measured objectives of which trials are told a prediction."""
        if self.session.config.latency.steer == "measured":
            return []
        return steered_by(self._profiles.by_column[HERE], self.session.goals)

    def here(self, architecture: Architecture) -> dict[str, Measurement]:
        """Return the predicted values of the steered objectives."""
        return {each.name: self._answer(HERE, architecture, True) for each in self.steered}

    def elsewhere(self, architecture: Architecture) -> dict[str, Measurement]:
        """Return the predicted values on other devices."""
        objectives: tuple[LatencyElsewhere, ...] = self.session.goals.elsewhere
        return {each.name: self._answer(each.column, architecture, False) for each in objectives}

    def _answer(self, column: str | None, architecture: Architecture, ours: bool) -> Measurement:
        data = self.session.material.data
        found = self._predictors[column].predict(architecture, data.input_shape, data.num_classes)
        profile = self._profiles.by_column[column]
        return as_measurement(found, profile.fingerprint, ours=ours)


def as_measurement(found: Prediction, device: str, *, ours: bool) -> Measurement:
    """Return a prediction as an objective's number.

    Args:
        found: The prediction.
        device: Digest of the profile's device.
        ours: Whether it is of this device, where a value that the profile measured counts as
            predicted until this run has measured it too.
    """
    details = {
        "standard_error": (found.high_ms - found.low_ms) / (2 * _STANDARD_ERRORS),
        "low_ms": found.low_ms,
        "high_ms": found.high_ms,
        "predicted_ms": found.predicted_ms,
        "measured_ms": found.measured_ms,
        "flags": list(found.flags),
        "device": device,
    }
    source = "predicted" if ours else found.source
    return Measurement(found.latency_ms, Unit.MILLISECONDS, source, None, details)
