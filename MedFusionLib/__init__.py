"""MedFusion: one fused volume from CT, MRI, PET and SPECT of one patient.

The flow, one folder or file a step:

    load  ->  harmonize  ->  fuse  ->  evaluate  ->  present / save
    load.py   harmonize/     pipeline.py, methods/, transforms/   scoring.py, metrics/   present.py, save.py

    >>> from MedFusionLib import fuse, load_volume, save_volume
    >>> fused = fuse([load_volume("ct.nii.gz", modality="CT"), load_volume("mr.nii.gz", modality="MR")])
    >>> save_volume(fused.volume, "fused.nii.gz")

What travels between the steps are the frozen records of `volume.py`. Names below are imported at first use, so that
`import MedFusionLib` needs neither torch nor SimpleITK.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Aligned": "volume",
    "Cancelled": "errors",
    "Fused": "volume",
    "Grid": "volume",
    "MedFusionError": "errors",
    "Volume": "volume",
    "Window": "volume",
    "align": "harmonize",
    "evaluate": "scoring",
    "find_method": "registry",
    "find_metric": "registry",
    "fuse": "pipeline",
    "head_phantom": "phantom",
    "list_methods": "registry",
    "list_metrics": "registry",
    "load_volume": "load",
    "montage": "present",
    "save_volume": "save",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'MedFusionLib' has no attribute {name!r}")
    return getattr(importlib.import_module(f"MedFusionLib.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
