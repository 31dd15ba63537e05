"""Which device does the work, and how much memory it has left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from MedFusionLib.errors import DependencyError, InputError

if TYPE_CHECKING:
    import torch

_CGROUP = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
"""Where Linux tells the limit of a control group and what it uses, version 2 and 1."""


def require_packages() -> None:
    """See that PyTorch and psutil are there: the two that Slicer does not bring.

    Raises:
        DependencyError: with the way to get what is missing.
    """
    try:
        import torch  # noqa: F401
    except ImportError as cause:
        raise DependencyError(
            "Fusion",
            found=f"no PyTorch ({cause})",
            accepted="torch >= 2.4",
            fix="In 3D Slicer install the PyTorch extension; elsewhere: pip install torch",
        ) from cause
    try:
        import psutil  # noqa: F401
    except ImportError as cause:
        raise DependencyError(
            "Fusion",
            found=f"no psutil ({cause})",
            accepted="psutil >= 5.9",
            fix='In 3D Slicer: slicer.util.pip_install("psutil"); elsewhere: pip install psutil',
        ) from cause


def find_device(name: str = "auto") -> torch.device:
    """The device of this name; "auto" is CUDA, else MPS, else the CPU.

    Raises:
        DependencyError: if a package is missing.
        InputError: if the device does not exist here.
    """
    require_packages()
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    here = ["cpu"]
    here += ["cuda", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))] if torch.cuda.is_available() else []
    here += ["mps"] if torch.backends.mps.is_available() else []
    if name not in here:
        raise InputError("Device", found=repr(name), accepted=", ".join(["auto", *here]))
    return torch.device(name)


def free_bytes(device: torch.device) -> int:
    """Memory that can still be taken on the device."""
    import torch

    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return free_memory()


def free_memory() -> int:
    """Memory of the machine that can still be taken, within the limit of a container or cluster job."""
    import psutil

    free = psutil.virtual_memory().available
    for limit, used in _CGROUP:
        try:
            free = min(free, int(limit.read_text()) - int(used.read_text()))
        except (OSError, ValueError):  # no such control group, or "max": no limit
            continue
    return max(0, free)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out: CUDA's own class, MPS' and the CPU's by their words."""
    import torch

    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )
