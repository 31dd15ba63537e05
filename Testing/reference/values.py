"""Reference values of metrics, and the triplets they belong to."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import torch

from Testing.reference.images import digest, make_cases

STORED = json.loads(Path(__file__).with_name("metric_values.json").read_text(encoding="utf-8"))

CANONICAL = {
    "ag": "AG",
    "cc": "CC",
    "ce": "CE",
    "df": "DF",
    "ei": "EI",
    "en": "EN",
    "fmi": "FMI",
    "labf": "Labf",
    "mef_ssim": "MEF_SSIM",
    "mi": "MI",
    "ms_ssim": "MS_SSIM",
    "mse": "MSE",
    "nabf": "Nabf",
    "ncie": "Q_NCIE",
    "nmi": "NMI",
    "psnr": "PSNR",
    "q_c": "Q_C",
    "q_cb": "Q_CB",
    "q_cv": "Q_CV",
    "q_e": "Q_E",
    "q_m": "Q_M",
    "q_p": "Q_P",
    "q_petrovic": "Q_petrovic",
    "q_s": "Q_S",
    "q_sf": "Q_SF",
    "q_w": "Q_W",
    "q_y": "Q_Y",
    "qabf": "Qabf",
    "scd": "SCD",
    "sd": "SD",
    "sf": "SF",
    "ssim": "SSIM",
    "te": "Q_TE",
    "viff": "VIFF",
    "vifp": "VIFp",
}
"""Metric -> its name among the stored values."""

_IMPLEMENTATION = {"df": "thf:DF", "te": "oracle:nava-fixed-marginals"}

_OWN = {
    # 163 columns hold four scales of 11 voxels; the reference is undefined there, ours takes these four.
    ("ms_ssim", "phantom_odd"),
}

PUBLISHED = {
    "EN": ("EN", "CDDFuse:EN"),
    "SD": ("SD", "CDDFuse:SD"),
    "SF": ("SF", "CDDFuse:SF"),
    "MI": ("MI", "CDDFuse:MI"),
    "SCD": ("SCD", "CDDFuse:SCD"),
    "VIF": ("VIFp", "CDDFuse:VIFF"),
    "Qabf": ("Qabf", "oracle:hong"),
    "SSIM": ("SSIM", "CDDFuse:SSIM_dr2_as_published"),
}
"""Column of the published tables -> its stored values."""


def stored(key: str, implementation: str) -> dict[str, float]:
    """Values by triplet; what the code returned as an error is left out."""
    values = STORED["values"][key][implementation]
    return {case: float(value) for case, value in values.items() if not str(value).startswith("ERROR")}


def canonical(metric: str) -> dict[str, float]:
    """Values by triplet of the implementation that is right by the paper."""
    values = stored(CANONICAL[metric], _IMPLEMENTATION.get(metric, "oracle:canonical"))
    return {case: value for case, value in values.items() if (metric, case) not in _OWN}


@cache
def synthetic() -> dict[str, tuple[np.ndarray, ...]]:
    """(A, B, F) uint8 by name."""
    cases = make_cases()
    for name, images in cases.items():
        assert [digest(image) for image in images] == STORED["sha256"][name]
    return cases


def aanlib(shared_data: Path) -> dict[str, tuple[np.ndarray, ...]]:
    """(CT, MR, F) uint8 by name: published images of CDDFuse and the pixel maximum."""
    from PIL import Image

    cases = {}
    folder = shared_data / "slices"
    for number in range(11, 16):
        names = ("cddfuse_inputs/CT-MRI/CT", "cddfuse_inputs/CT-MRI/MRI", "peers_outputs/CDDFuse/CT-MRI")
        ct, mr, fused = (np.asarray(Image.open(folder / name / f"{number}.png").convert("L")) for name in names)
        cases[f"aan{number}_cddfuse"] = ct, mr, fused
        cases[f"aan{number}_max"] = ct, mr, np.maximum(ct, mr)
    for name, images in cases.items():
        assert [digest(image) for image in images] == STORED["aanlib_sha256"][name]
    return cases


def tensors(images: tuple[np.ndarray, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Fused (1, 1, H, W) and sources (1, 2, H, W) in [0, 1], float64."""
    a, b, f = (torch.from_numpy(image.astype(np.float64)) / 255 for image in images)
    return f[None, None], torch.stack([a, b])[None]


def difference(found: float, expected: float) -> float:
    """Relative difference; 0 if both are NaN or the same infinity, or apart by no more than rounding leaves of a 0."""
    if math.isnan(found) != math.isnan(expected):
        return math.inf
    if math.isnan(found) or found == expected or abs(found - expected) < 1e-12:
        return 0.0
    return abs(found - expected) / abs(expected)
