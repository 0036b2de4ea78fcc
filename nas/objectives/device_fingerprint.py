"""What a latency was measured on: enough to tell two devices apart, nothing that names a machine.

A measured latency means nothing without it, so every measurement, run folder and benchmark carries
one. It holds no host name, user, serial number or path: a run can be shared as it is.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, final

CPU_FACTS = Path("/proc/cpuinfo")
CLOCKS: Final = Path("/sys/devices/system/cpu")
DRIVER_FACTS: Final = Path("/proc/driver/nvidia/version")
RUNTIME_PACKAGES: Final = ("onnxruntime", "onnxruntime-gpu")


@final
@dataclass(frozen=True)
class DeviceFingerprint:
    """The device and software behind a measurement.

    Args:
        device: `cpu`, or the kind and model of the accelerator.
        processor: Model name of the processor.
        cores: Logical processors this process may use.
        threads: Threads of one forward pass.
        torch: Version of torch, its build included.
        system: Operating system, its version number and the instruction set.
        python: Version of Python.
        clock_policy: How the system chooses the processors' clock, such as `governor performance,
            turbo on`; `unknown` where it does not say, as in most virtual machines.
        runtimes: Versions of runtimes beside torch; empty without any.
        driver: Version of the accelerator's driver; empty on a processor.
    """

    device: str
    processor: str
    cores: int
    threads: int
    torch: str
    system: str
    python: str
    clock_policy: str = "unknown"
    runtimes: str = ""
    driver: str = ""

    @property
    def digest(self) -> str:
        """Return 12 hexadecimal digits that are equal exactly for equal fingerprints."""
        text = "\n".join(f"{name}={value}" for name, value in sorted(asdict(self).items()))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, str | int]:
        """Return the fields as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        where = self.processor if self.device == "cpu" else f"{self.device} beside {self.processor}"
        parts = [f"{where}, {self.cores} cores, {self.threads} threads, torch {self.torch}"]
        parts += [self.runtimes] if self.runtimes else []
        parts += [f"driver {self.driver}"] if self.driver else []
        parts += [f"Python {self.python}", self.system]
        parts += [self.clock_policy] if self.clock_policy != "unknown" else []
        return ", ".join(parts)


def device_fingerprint(device: str = "cpu", threads: int = 1) -> DeviceFingerprint:
    """Describe this process's device.

    Args:
        device: A torch device, such as `cpu` or `cuda:0`.
        threads: Threads of one forward pass.
    """
    import torch  # only who measures pays for the import

    return DeviceFingerprint(
        device=_device_model(device),
        processor=processor_model(),
        cores=usable_cores(),
        threads=threads,
        torch=torch.__version__,
        system=_system(),
        python=platform.python_version(),
        clock_policy=clock_policy(),
        runtimes=_runtimes(),
        driver=driver_version(torch.device(device).type),
    )


def usable_cores() -> int:
    """Return the logical processors this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@lru_cache(maxsize=1)
def processor_model() -> str:
    """Return the processor's model name, or its instruction set where the system hides it."""
    found = _macos_processor() if platform.system() == "Darwin" else _processor_line(CPU_FACTS)
    return found or platform.processor() or platform.machine() or "unknown processor"


def _processor_line(facts: Path) -> str:
    try:
        text = facts.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for label in ("model name", "Model", "Processor", "CPU part"):
        found = re.search(rf"^{label}\s*:\s*(\S.*)$", text, re.MULTILINE)
        if found:
            return " ".join(found.group(1).split())
    return ""


def _macos_processor() -> str:
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=5, check=False
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def clock_policy(clocks: Path = CLOCKS) -> str:
    """Return how the system chooses the processors' clock, `unknown` where it does not say.

    Args:
        clocks: Where it says so.
    """
    governors = {_fact(path) for path in clocks.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    parts = [f"governor {'/'.join(sorted(governors))}"] if governors else []
    forbidden, boost = _fact(clocks / "intel_pstate/no_turbo"), _fact(clocks / "cpufreq/boost")
    turbo = {"0": "on", "1": "off"}.get(forbidden) or {"0": "off", "1": "on"}.get(boost)
    parts += [f"turbo {turbo}"] if turbo else []
    return ", ".join(parts) or "unknown"


def driver_version(kind: str, facts: Path = DRIVER_FACTS) -> str:
    """Return the version of an accelerator's driver; empty on a processor.

    Args:
        kind: Kind of torch device.
        facts: Where the driver says it.
    """
    if kind != "cuda":
        return ""
    found = re.search(r"Kernel Module\D*?([0-9]+(?:\.[0-9]+)+)", _fact(facts))
    return found.group(1) if found else "unknown"


def _fact(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


@lru_cache(maxsize=1)
def _runtimes() -> str:
    found = []
    for package in RUNTIME_PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _device_model(device: str) -> str:
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return f"cuda {torch.cuda.get_device_name(torch.device(device))}"
    return kind


def _system() -> str:
    # Only the number: what follows it in a kernel's release can carry a builder's name.
    version = re.match(r"[0-9.]*[0-9]", platform.release())
    return f"{platform.system()} {version.group(0) if version else ''} {platform.machine()}".strip()
