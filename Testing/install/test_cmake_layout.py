"""The extension as Slicer's build system packs it: configured, built and installed with a stand-in for Slicer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKED = ("MedFusion", "MedFusionLib")
LAYOUT = Path("lib/Slicer-5.12/qt-scripted-modules")


def cmake_tool(name: str) -> str:
    """The program, from the system or from the package `cmake` beside this Python."""
    beside = Path(sys.executable).parent
    found = shutil.which(name) or shutil.which(name, path=str(beside))
    assert found, f"{name} is not installed: pip install cmake"
    return found


def run(*command: object, cwd: Path = ROOT) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    parts = [str(part) for part in command]
    done = subprocess.run(parts, check=False, capture_output=True, text=True, cwd=cwd, env=clean)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Path:
    """The build folder, with what was installed in its folder `installed`."""
    folder = tmp_path_factory.mktemp("cmake")
    cmake = cmake_tool("cmake")
    run(
        cmake,
        *("-S", ROOT, "-B", folder),
        f"-DSlicer_DIR={Path(__file__).parent / 'slicer_stand_in'}",
        f"-DSlicer_STAND_IN_PYTHON={sys.executable}",
        f"-DSlicer_STAND_IN_RUNNER={ROOT / 'Testing/mrml/desktop_stand_in.py'}",
    )
    run(cmake, "--build", folder)
    run(cmake, "--install", folder, "--prefix", folder / "installed")
    return folder


def packed_sources() -> set[Path]:
    """Every file that belongs in the package, as it must lie there."""
    files = set()
    for package in PACKED:
        for path in (ROOT / package).rglob("*"):
            inside = path.relative_to(ROOT if package == "MedFusionLib" else ROOT / package)
            if path.is_file() and path.name != "CMakeLists.txt" and "__pycache__" not in path.parts:
                files.add(inside)
    return files


def test_every_file_of_the_packages_and_no_other_is_installed(build):
    installed = build / "installed"
    found = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}
    assert found == {LAYOUT / path for path in packed_sources()}


def test_the_list_of_what_must_be_installed_is_not_empty():
    assert {Path("MedFusion.py"), Path("Resources/UI/MedFusion.ui"), Path("MedFusionLib/methods/laplacian.py")} <= (
        packed_sources()
    )


def test_the_test_case_passes_from_the_installed_files_alone(build, tmp_path):
    pytest.importorskip("slicer", reason='slicer-core is not installed: pip install "medfusion[slicer]"')
    code = (
        "import sys; installed, stand_in = sys.argv[1:]; sys.path.insert(0, stand_in); import desktop_stand_in;"
        "desktop_stand_in.main(installed, 'MedFusion');"
        "import MedFusion, MedFusionLib; print(MedFusion.__file__, MedFusionLib.__file__, sep='\\n')"
    )
    installed = build / "installed" / LAYOUT
    printed = run(sys.executable, "-P", "-B", "-c", code, installed, ROOT / "Testing/mrml", cwd=tmp_path)
    assert [Path(line) for line in printed.splitlines()] == [
        installed / "MedFusion.py",
        installed / "MedFusionLib/__init__.py",
    ]


def test_ctest_knows_the_test_case_of_the_module(build):
    assert "py_MedFusion" in run(cmake_tool("ctest"), "--test-dir", build, "-N")


def test_the_index_entry_agrees_with_the_extension():
    entry = json.loads((ROOT / "Resources/MedFusion.json").read_text())
    settings = dict(re.findall(r'^set\(EXTENSION_(\w+) "(.+)"\)$', (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE))
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert entry["category"] == settings["CATEGORY"]
    assert entry["build_dependencies"] == [settings["DEPENDS"]] == ["PyTorch"]
    assert entry["scm_url"] == f"{settings['HOMEPAGE']}.git"
    assert 1 <= entry["tier"] <= 5
