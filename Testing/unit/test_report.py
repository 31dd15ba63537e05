"""The page of one result: it tells what a reader must know, and needs no other file."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from MedFusionLib.cli import main
from MedFusionLib.harmonize import align
from MedFusionLib.harmonize.pose import Pose
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import bring_together, fuse_aligned
from MedFusionLib.report import report
from MedFusionLib.save import save_volume
from MedFusionLib.scoring import evaluate

jinja2 = pytest.importorskip("jinja2", reason='jinja2 is not installed: pip install "medfusion[report]"')


@pytest.fixture(scope="module")
def volumes():
    return [head_phantom(modality, shape=(12, 40, 36), spacing=(5, 5, 12)) for modality in ("CT", "MR")]


def pictures(page):
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def test_a_page_shows_result_scores_and_story_and_loads_nothing(volumes):
    aligned = align(volumes)
    fused = fuse_aligned(aligned, method="laplacian", parameters={"levels": 2})
    scored = evaluate(fused, aligned, ["qabf", "nmi:hm"])
    page = report(volumes, aligned, fused, scored)
    assert len(pictures(page)) == 1
    assert f"{scored['qabf'].value:.4g}" in page
    assert "laplacian with levels=2" in page
    assert fused.story["sources"][0]["sha256"] in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_registration_is_shown_with_its_figures_before_and_after(volumes):
    turned = Pose.from_matrix(np.array([[1, 0, 0, 6.0], [0, 1, 0, -4], [0, 0, 1, 3], [0, 0, 0, 1]]))
    aligned = bring_together(volumes, register="rigid", poses=[None, turned])
    page = report(volumes, aligned, fuse_aligned(aligned))
    assert len(pictures(page)) == 2
    quality = aligned.story["registration"][1]
    for name in ("nmi_before", "nmi_after", "displacement_mm"):
        assert f"{quality[name]:.4g}" in page


def test_names_cannot_bring_markup_into_the_page(volumes):
    from dataclasses import replace

    volumes = [replace(volumes[0], name="<script>alert(1)</script>"), volumes[1]]
    aligned = align(volumes)
    assert "<script>" not in report(volumes, aligned, fuse_aligned(aligned))


def test_the_command_writes_the_page(volumes, tmp_path, monkeypatch, capsys):
    for volume in volumes:
        save_volume(volume, tmp_path / f"{volume.modality}.nii.gz")
    monkeypatch.chdir(tmp_path)
    line = "fuse CT.nii.gz MR.nii.gz -o f.nii.gz --modality CT MR --report"
    assert main([*line.split(), "page.html"]) == 0
    assert "page.html" in capsys.readouterr().out
    assert "MS-SSIM" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert main([*line.split(), "page.txt"]) == 2
    assert "ends in .html" in capsys.readouterr().err
