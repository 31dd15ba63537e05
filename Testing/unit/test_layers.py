"""The architecture holds: who may import whom, what is imported when, and which names are public."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import MedFusionLib

LIBRARY = Path(MedFusionLib.__file__).parent

# A module imports only from lines above its own (or from its own folder): DESIGN, section 1.
LAYERS = (
    ("errors",),
    ("params",),
    ("volume", "scores"),
    ("registry", "weights", "device", "job"),
    ("files", "load", "save", "phantom", "_head", "harmonize", "transforms", "networks"),
    ("methods", "metrics"),
    ("slabs", "registration"),
    ("pipeline",),
    ("scoring", "_images"),
    (
        "checkerboard",
        "present",
        "matching",
        "_panels",
        "_views",
        "mrml",
        "mrml_poses",
        "_mrml_arrays",
        "_mrml_tables",
        "_scene",
        "preview",
    ),
    ("benchmark",),
    ("compare", "report"),
    ("training",),
    ("mrml_results",),
    ("demo",),
    ("web",),
    ("commands",),
    ("cli",),
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path != LIBRARY / "__init__.py")


def parts(path):
    return path.relative_to(LIBRARY).with_suffix("").parts


def imports_of(path):
    """Every MedFusionLib module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("MedFusionLib."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("MedFusionLib."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: "/".join(parts(path)))
def test_a_module_imports_only_from_the_layers_below(path):
    own = parts(path)[0]
    assert own in LAYER, f"{own} has no place in the table of layers"
    for imported in imports_of(path):
        assert imported == own or LAYER[imported] < LAYER[own] or same_room(own, imported), f"{own} imports {imported}"


def same_room(own, imported):
    """Machinery beside the file it serves (a leading underscore), and load/save over what they share."""
    beside = {
        "phantom": {"_head"},
        "mrml": {"_scene", "_mrml_arrays", "_mrml_tables"},
        "mrml_poses": {"_mrml_arrays"},
        "load": {"files"},
        "save": {"files"},
        "present": {"_views", "_panels"},
        "_panels": {"_views"},
        "matching": {"_views", "_panels"},
        # A pose is read and written as ITK does, and resampling asks where the patient lies.
        "harmonize": {"files"},
        "scoring": {"_images"},
        # An entry of the registry runs its function between the checks and the pooling that all metrics share.
        "registry": {"metrics"},
    }
    return imported in beside.get(own, set())


@pytest.mark.parametrize("path", sorted((LIBRARY / "methods").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_method_never_imports_another(path):
    assert "methods" not in set(imports_of(path))


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_listing_methods_and_parameters_imports_nothing_heavy():
    heavy = ("torch", "SimpleITK", "scipy", "slicer", "vtk", "PIL", "rich")
    code = (
        "import sys, MedFusionLib; [m.parameters for m in MedFusionLib.list_methods().values()];"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("import MedFusionLib", 0.3),
        ("import MedFusionLib.cli, MedFusionLib as m; m.list_methods(); m.list_metrics()", 0.5),
    ],
)
def test_import_is_quick(code, limit):
    # The best of five: the promise is about our imports, not about what else the machine does meanwhile.
    timed = f"import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
    assert min(float(run(timed)) for _ in range(5)) < limit


def test_public_names_resolve_and_are_frozen():
    assert set(MedFusionLib.__all__) == {
        "Aligned",
        "Cancelled",
        "Fused",
        "Grid",
        "MedFusionError",
        "Volume",
        "Window",
        "align",
        "evaluate",
        "find_method",
        "find_metric",
        "fuse",
        "head_phantom",
        "load_volume",
        "list_methods",
        "list_metrics",
        "montage",
        "save_volume",
    }
    for name in MedFusionLib.__all__:
        assert callable(getattr(MedFusionLib, name))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = MedFusionLib.nonsense
