"""The entry of the Extensions Index, by the rules of its schema 1.0.2 (keys, types, tier), and what it points to."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENTRY = json.loads((ROOT / "Resources" / "MedFusion.json").read_text(encoding="utf-8"))
TYPES = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "dicom_support_rule": str,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}


def test_the_entry_has_the_keys_and_types_of_the_schema_and_no_others():
    assert ENTRY["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert {"$schema", "category", "scm_url"} <= ENTRY.keys() <= TYPES.keys()
    assert all(type(value) is TYPES[key] for key, value in ENTRY.items())
    assert 1 <= ENTRY["tier"] <= 5
    assert ENTRY["build_dependencies"] == ["PyTorch"]


def test_the_entry_and_the_build_say_the_same():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    told = dict(re.findall(r'^set\(EXTENSION_(\w+) "([^"]*)"\)$', text, re.MULTILINE))
    assert told["CATEGORY"] == ENTRY["category"]
    assert told["DEPENDS"].split() == ENTRY["build_dependencies"]
    assert ENTRY["scm_url"] == told["HOMEPAGE"] + ".git"
    for address in (told["ICONURL"], *told["SCREENSHOTURLS"].split()):
        assert (ROOT / address.split("/main/")[1]).is_file(), address
