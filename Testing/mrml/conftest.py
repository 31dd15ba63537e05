"""A scene as scripts find it in Slicer, on slicer-core."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from MedFusionLib.volume import Grid, Volume


@pytest.fixture
def scene():
    """slicer.mrmlScene, empty."""
    import desktop_stand_in

    return desktop_stand_in.start()


@pytest.fixture
def module(scene, monkeypatch):
    """The scripted module, as imported by Slicer from a source tree."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "MedFusion"))
    for name in [name for name in sys.modules if name.split(".")[0] in ("MedFusion", "MedFusionPanel")]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module("MedFusion")


@pytest.fixture
def oblique() -> Grid:
    """A left-handed oblique grid of (4, 5, 6) voxels of 0.9 x 1.1 x 2.5 mm."""
    axes, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))
    axes[:, 2] *= -np.sign(np.linalg.det(axes))
    affine = np.eye(4)
    affine[:3, :3] = axes * (0.9, 1.1, 2.5)
    affine[:3, 3] = (-71.3, 12.9, 404.4)
    return Grid((4, 5, 6), affine)


@pytest.fixture
def ct(oblique) -> Volume:
    voxels = np.random.default_rng(0).normal(0, 500, oblique.shape).astype(np.float32)
    return Volume(voxels, oblique, "CT", "Thorax", "HU")


@pytest.fixture
def pet(ct) -> Volume:
    return ct.with_array(np.abs(ct.array) / 100, modality="PET", name="Corrected", unit="SUV")


@pytest.fixture
def rgb(oblique) -> Volume:
    voxels = np.random.default_rng(1).integers(0, 256, (*oblique.shape, 3), np.uint8)
    return Volume(voxels, oblique, "PET", "Secondary capture")
