"""What is sent to a cluster: the config, its plugins and its data, and nothing that lies beside.

The package is one zip file with the same bytes for the same content, so a cluster that has it
already is not sent it again. It is measured before anything is sent.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from nas.cluster.code_files import code_of
from nas.cluster.order import FOLDER
from nas.errors import ConfigError, EnvironmentFault, NotFoundError
from nas.search.settings.config import SearchConfig
from nas.training.data.load import KNOWN_SETS, load_data

LIMIT_BYTES: Final = 100 * 2**20
"""What Ray takes in one package."""

_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
_STORED: Final = (".npz", ".jpg", ".jpeg", ".png", ".gz", ".zip", ".safetensors")
_CHUNK: Final = 1 << 20


@final
@dataclass(frozen=True)
class Package:
    """Files to be sent.

    Args:
        files: By their path in the package, where they lie here.
        texts: Further files that are made for the package, by path.
        places: Names in the config, and where their files lie in the package.
    """

    files: Mapping[str, Path]
    texts: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def with_text(self, name: str, text: str) -> Package:
        """Return the package with one more file that is made for it."""
        return Package(self.files, {**self.texts, f"{FOLDER}/{name}": text}, self.places)

    def with_file(self, name: str, path: Path) -> Package:
        """Return the package with one more file."""
        return Package({**self.files, f"{FOLDER}/{name}": path}, self.texts, self.places)

    def places_json(self) -> str:
        """Return what tells a job where the files behind the config's names are."""
        return json.dumps(dict(self.places), sort_keys=True)

    def write(self, target: Path) -> int:
        """Write the zip file and return its bytes.

        Raises:
            ConfigError: If it would be larger than what Ray takes; the largest folder is named.
            EnvironmentFault: If a file cannot be read, or the disk is full.
        """
        try:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for name, text in sorted(self.texts.items()):
                    archive.writestr(_entry(name), text)
                for name, path in sorted(self.files.items()):
                    self._add(archive, name, path)
        except OSError as error:
            raise EnvironmentFault(
                f"The package cannot be made: {error.strerror or error}.",
                where=str(error.filename or target),
                fix="Check that the file can be read and that the disk has room.",
            ) from error
        return target.stat().st_size

    def _add(self, archive: zipfile.ZipFile, name: str, path: Path) -> None:
        entry = _entry(name)
        if path.suffix.lower() in _STORED:
            entry.compress_type = zipfile.ZIP_STORED
        with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as sink:
            while chunk := source.read(_CHUNK):
                sink.write(chunk)
                # The archive's own count lags behind by what is still being compressed.
                if archive.fp is not None and archive.fp.tell() >= LIMIT_BYTES:
                    raise self._too_large()

    def _too_large(self) -> ConfigError:
        sizes: Counter[Path] = Counter()
        for path in self.files.values():
            sizes[path.parent] += path.stat().st_size
        folder, size = sizes.most_common(1)[0]
        total = sum(sizes.values())
        return ConfigError(
            f"The package has more than {LIMIT_BYTES >> 20} MiB: its {len(self.files):,} files "
            f"have {_mib(total)} MiB, most of it in {folder} ({_mib(size)} MiB).",
            where=str(folder),
            why="A cluster takes packages of at most that size; it keeps them in memory.",
            fix="Put the data on a disk that the cluster sees, and give its path there: "
            "--remote-data PATH",
        )


def package_of(
    config: SearchConfig, *, with_data: bool = True, data_name: str | None = None
) -> Package:
    """Return what a search needs: plugins, the functions and files its config names.

    Args:
        config: A resolved config.
        with_data: Whether the data go along.
        data_name: What the data are called where the config is kept, if not as in this one.

    Raises:
        NotFoundError: If a module or a file is not there.
        ConfigError: If one cannot be sent.
    """
    modules = list(config.plugins)
    files: dict[str, Path] = {}
    places: dict[str, str] = {}
    profiles = (config.latency.profile, *config.latency.devices.values())
    named = {name: name for name in profiles if name is not None}
    data = _data_file(config.data, modules) if with_data else None
    if data is not None:
        named[data_name or data] = data
    for name, path in named.items():
        places[name] = _take(path, f"{FOLDER}/files/{len(places)}", files)
    for each in code_of(modules):
        files[each.name] = each.path
    return Package(files, {}, places)


def _data_file(spec: str, modules: list[str]) -> str | None:
    """Return the file or folder behind a data set, None if it is none; note its module."""
    if spec in KNOWN_SETS:
        return None
    if Path(spec).expanduser().exists():
        return spec
    module, colon, function = spec.rpartition(":")
    if not colon or not function.isidentifier():
        load_data(spec)  # says what is wrong with it
    if module.endswith(".py"):
        return spec
    modules.append(module)
    return None


def _take(name: str, place: str, files: dict[str, Path]) -> str:
    """Add the files behind a name of the config; return where they lie in the package."""
    path = Path(name).expanduser()
    function = ""
    if not path.exists() and ":" in name:
        module, _, function = name.rpartition(":")
        path, function = Path(module).expanduser(), f":{function}"
    if path.is_dir():
        for found, inside in _below(path):
            files[f"{place}/{path.name or 'data'}/{inside}"] = found
    elif path.is_file():
        files[f"{place}/{path.name}"] = path
    else:
        raise NotFoundError(
            f"The file '{name}' does not exist, so it cannot be sent.",
            where="config",
            fix="Correct the path.",
        )
    return f"{place}/{path.name or 'data'}{function}"


def _below(folder: Path) -> Iterable[tuple[Path, str]]:
    """Yield the files of a data set with their paths below it; hidden ones are not part of it."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path, path.relative_to(folder).as_posix()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _MOMENT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f}"
