"""Where the library is."""

import importlib.util
import sys
from pathlib import Path


def findLibrary():
    """Make MedFusionLib importable: installed it lies beside the module, in a source tree one folder up."""
    root = Path(__file__).resolve().parents[2]
    if importlib.util.find_spec("MedFusionLib") is None and (root / "MedFusionLib").is_dir():
        sys.path.append(str(root))
