"""What the docs show is what there is."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from MedFusionLib.registry import list_methods

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("name", ["methods", "metrics"])
def test_the_page_is_that_of_the_registry(name):
    made = runpy.run_path(str(ROOT / "docs" / f"make_{name}.py"))
    assert (ROOT / "docs" / f"{name}.md").read_text() == made["page"](), f"run: python docs/make_{name}.py"


def test_the_readme_names_every_method():
    text = (ROOT / "README.md").read_text()
    assert [name for name in list_methods() if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
