"""The main job on the embedded phantom: four fusions, their volumes, one Slicer scene, one picture."""

from __future__ import annotations

import logging
from pathlib import Path

from MedFusionLib.errors import DependencyError
from MedFusionLib.harmonize import AUTOMATIC, align
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse_aligned, part
from MedFusionLib.slabs import Progress
from MedFusionLib.volume import Aligned, Fused

_log = logging.getLogger("MedFusionLib")

COMBINATIONS = (("CT", "MR"), ("MR", "PET"), ("MR", "SPECT"), ("CT", "MR", "PET"))
_COLOR = "hot"
_LESIONS_AT = (0.0, 0.0, 2.0)
"""RAS mm: the level of the phantom's four lesions."""


def run_demo(folder: Path, progress: Progress | None = None) -> list[Path]:
    """Fuse phantom CT+MR, MR+PET, MR+SPECT and CT+MR+PET; the MR's grid is the reference.

    Args:
        folder: gets the sources and the fused volumes (.nii.gz), montage.png and, with slicer-core, scene.mrb.
        progress: called with (fraction 0..1, message).

    Returns:
        What was written.
    """
    from MedFusionLib.mrml import write_mrb
    from MedFusionLib.present import save_png, sheet
    from MedFusionLib.save import save_json, save_volume

    heads = {}
    for number, modality in enumerate(("CT", "MR", "PET", "SPECT")):
        if progress:
            progress(number / 20, f"Making the phantom's {modality}")
        heads[modality] = head_phantom(modality)
    written = [save_volume(head, folder / f"phantom_{modality}.nii.gz") for modality, head in heads.items()]
    pairs: list[tuple[Aligned, Fused]] = []
    for number, names in enumerate(COMBINATIONS):
        step = part(progress, 0.2 + 0.15 * number, 0.35 + 0.15 * number)
        color = AUTOMATIC if names == ("CT", "MR") else _COLOR
        aligned = align([heads[name] for name in names], reference=names.index("MR"), color=color)
        fused = fuse_aligned(aligned, progress=step)
        stem = "fused_" + "_".join(names)
        written.append(save_volume(fused.volume, folder / f"{stem}.nii.gz"))
        if fused.color is not None:
            written.append(save_volume(fused.color, folder / f"{stem}_color.nii.gz"))
        written.append(save_json(fused.story, folder / f"{stem}.json"))
        pairs.append((aligned, fused))
    written.append(save_png(sheet(pairs, at=_LESIONS_AT), folder / "montage.png"))
    try:
        written.append(write_mrb(folder / "scene.mrb", [*heads.values(), *(fused for _, fused in pairs)]))
    except DependencyError as error:  # a plain install has no slicer-core; everything else is there
        _log.warning("No scene.mrb. %s", error)
    if progress:
        progress(1.0, "Done")
    return written
