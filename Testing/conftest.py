"""Shared by all tests: where the real images lie, and small phantoms."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MEDFUSION_DATA", default))
    if not (folder / "MANIFEST.md").is_file():
        pytest.skip(f"no real images at {folder}: set MEDFUSION_DATA to the folder that holds them")
    return folder
