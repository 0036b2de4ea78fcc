"""Every error a user can meet: what went wrong, where, why, and the way out.

The command line prints `error: what`, `where:`, `why:`, `fix:` from these fields and exits with
`exit_code`; library callers catch the classes. Each class is also the builtin it resembles, so
that plain Python code which catches `ValueError` or `FileNotFoundError` works.
"""

from __future__ import annotations


class NasError(Exception):
    """Base of all errors of this package.

    Args:
        what: One sentence that names the offending value and the rule it broke.
        where: Place of the fault: `file:line`, key path, node or trial.
        why: The reason behind the rule, if it is not obvious.
        fix: What to type or change.
    """

    exit_code: int = 1

    def __init__(
        self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        parts = [self.what]
        for label, text in (("where", self.where), ("why", self.why), ("fix", self.fix)):
            if text:
                parts.append(f"{label}: {text}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip from a worker process: keyword arguments would be lost otherwise."""
        return (_rebuild, (type(self), self.what, self.where, self.why, self.fix))


def _rebuild(
    kind: type[NasError], what: str, where: str | None, why: str | None, fix: str | None
) -> NasError:
    return kind(what, where=where, why=why, fix=fix)


class ConfigError(NasError, ValueError):
    """A config file, option or argument that breaks a rule."""

    exit_code = 2


class SpaceError(ConfigError):
    """A declared search space that is empty, contradictory or malformed."""


class BudgetError(ConfigError):
    """A budget on costs that no member of a space, or of a part of it, keeps."""


class TopologyError(NasError, ValueError):
    """A wiring that is not a connected directed acyclic graph from input to output."""

    exit_code = 2


class ArchitectureError(NasError, ValueError):
    """An architecture whose nodes cannot be computed (unknown operation, impossible shape)."""

    exit_code = 2


class DataError(NasError, ValueError):
    """A data set that is missing, corrupt or unfit for the task."""

    exit_code = 2


class _SystemError(NasError, OSError):
    """An error that is an `OSError` too, whose own way to be made and copied would lose fields."""

    def __init__(
        self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None
    ) -> None:
        NasError.__init__(self, what, where=where, why=why, fix=fix)

    __str__ = NasError.__str__
    __reduce__ = NasError.__reduce__


class EnvironmentFault(_SystemError):
    """A device, disk or permission that is not there."""

    exit_code = 2


class RunError(NasError, ValueError):
    """A run folder that is in use, damaged, or not a run."""

    exit_code = 2


class NotFoundError(NasError, LookupError):
    """Something named by the user that does not exist: a run, a trial, a file, a registry entry."""

    exit_code = 3


class EveryTrialFailedError(NasError, RuntimeError):
    """A search in which no trial finished."""

    exit_code = 4


class NothingFeasibleError(NasError, RuntimeError):
    """A search in which no finished trial meets the constraints."""

    exit_code = 5


class ClusterError(_SystemError, ConnectionError):
    """A cluster that cannot be reached, refuses, or is gone; the run's state is saved."""

    exit_code = 6


class RemoteJobError(NasError, RuntimeError):
    """A job on a cluster that ended with an exit code of its own."""

    exit_code = 7


class InterruptedRunError(NasError, RuntimeError):
    """The run was stopped by a signal; its state is saved."""

    exit_code = 130


class TrialError(NasError, RuntimeError):
    """One evaluation that failed; the search goes on.

    `kind` is one of `nonfinite`, `oom`, `timeout`, `crash`, `infeasible`. Whether the process
    around it `died` or was `lost` only those can tell who wait for it.
    """

    def __init__(
        self,
        what: str,
        *,
        kind: str = "crash",
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.kind = kind

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_trial, (self.what, self.kind, self.where, self.why, self.fix))


def _rebuild_trial(
    what: str, kind: str, where: str | None, why: str | None, fix: str | None
) -> TrialError:
    return TrialError(what, kind=kind, where=where, why=why, fix=fix)
