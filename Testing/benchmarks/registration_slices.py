"""Deformed slices of the atlas: what registration leaves of their displacement, and what it gives back to the scores.

    python -m Testing.benchmarks.registration_slices DATA [train|test] [EVERY]

DATA holds slices/misaligned, slices/aanlib and slices/splits.json. The true displacement is not told; it is found by
demons between the deformed image and its original, of the same modality (SimpleITK). Scores are those of `laplacian`
against the original pair; what is recovered is the sum over the panel of (registered - deformed) over that of
(original - deformed). A pair that is refused counts as it was given.

Two columns tell what can be hoped for. "true": the deformed image brought back by the true displacement. "drift": where
the deformable registration moves the original, which lies on its MRI: how far the best agreement is from the truth.
Where itk-elastix is installed (extra `bench`), a column shows its rigid and B-spline registration, as it comes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from MedFusionLib.errors import RegistrationError
from MedFusionLib.harmonize import align
from MedFusionLib.harmonize.color import luma
from MedFusionLib.load import load_volume
from MedFusionLib.pipeline import bring_together, fuse_aligned
from MedFusionLib.registration import KINDS
from MedFusionLib.scoring import PANEL, evaluate
from MedFusionLib.volume import Aligned, Volume

SETS = {"CT-MRI": "CT", "PET-MRI": "PET", "SPECT-MRI": "SPECT"}
_SAME = 0.99
"""Correlation of the MRI with that of the atlas from which the original is taken for the same slice."""


def gray(volume: Volume) -> np.ndarray:
    """(H, W) luma in [0, 1] of a picture."""
    array = volume.array[0] / np.float32(255)
    return luma(array) if array.ndim == 3 else array


def cases(slices: Path, split: str) -> Iterator[tuple[str, Volume, Volume, Volume]]:
    """Set, MRI, deformed and original other image of the pairs whose original belongs to the split."""
    ids = json.loads((slices / "splits.json").read_text(encoding="utf-8"))
    for name, other in SETS.items():
        folder = slices / "aanlib" / name
        atlas = {each: gray(load_volume(folder / "MRI" / f"{each}.png", "MR")) for each in ids[name]["case"]}
        for path in sorted((slices / "misaligned" / name / "MRI").glob("*.png")):
            mri = load_volume(path, "MR")
            found = max(atlas, key=lambda each: _correlation(atlas[each], gray(mri)))
            if _correlation(atlas[found], gray(mri)) > _SAME and found in ids[name][split]:
                moved = load_volume(path.parents[1] / f"{other}_moved" / path.name, other)
                yield name, mri, moved, load_volume(folder / other / f"{found}.png", other)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one[::2, ::2].ravel(), other[::2, ::2].ravel())[0, 1])


def true_field(original: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """(H, W, 2) pixels from each place of the original to where it lies in the deformed image."""
    import SimpleITK as sitk

    fixed, moving = (sitk.GetImageFromArray(image.astype(np.float32)) for image in (original, moved))
    field = None
    for shrink, iterations in ((8, 200), (4, 200), (2, 150), (1, 100)):
        small = [
            sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, max(0.5, shrink / 2)), [shrink] * 2)
            for image in (fixed, moving)
        ]
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(iterations)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(1.5)
        if field is None:
            field = demons.Execute(*small)
        else:
            start = sitk.Resample(field, small[0], sitk.Transform(), sitk.sitkLinear, 0.0, field.GetPixelID())
            field = demons.Execute(*small, start)
    return sitk.GetArrayFromImage(sitk.Resample(field, fixed))


def error(aligned: Aligned, truth: np.ndarray, inside: np.ndarray) -> float:
    """Mean distance in pixels between the pose's displacement and the true one."""
    pose, grid = aligned.poses[1], aligned.grid
    way = np.zeros((*inside.shape, 2))
    if pose is not None:
        j, i = np.indices(inside.shape)
        places = np.stack([i, j, np.zeros_like(i), np.ones_like(i)]).reshape(4, -1)
        world = (grid.affine @ places)[:3].T
        index = np.linalg.solve(grid.affine, np.c_[pose.points(world), np.ones(len(world))].T)[:2]
        way = (index - places[:2]).T.reshape(way.shape)
    return _mean_length(way - truth, inside)


def _mean_length(field: np.ndarray, inside: np.ndarray) -> float:
    return float(np.linalg.norm(field[inside], axis=1).mean())


def elastix_field(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray | None:
    """(H, W, 2) displacement in pixels that elastix finds with its default parameters; None without it."""
    try:
        import itk

        parameters = itk.ParameterObject.New()
    except (ImportError, AttributeError):
        return None
    for kind in ("rigid", "bspline"):
        chosen = parameters.GetDefaultParameterMap(kind, 4, 32.0)
        chosen["AutomaticTransformInitialization"], chosen["RandomSeed"] = ["false"], ["1"]
        parameters.AddParameterMap(chosen)
    images = [itk.image_from_array(np.ascontiguousarray(255 * image, np.float32)) for image in (fixed, moving)]
    _, found = itk.elastix_registration_method(*images, parameter_object=parameters, log_to_console=False)
    with TemporaryDirectory() as folder:
        return itk.array_from_image(itk.transformix_deformation_field(images[1], found, output_directory=folder))


def brought_back(moved: Volume, field: np.ndarray) -> Volume:
    """The deformed image, read where a (H, W, 2) displacement in pixels says."""
    from scipy.ndimage import map_coordinates

    j, i = np.indices(field.shape[:2])
    places = j + field[..., 1], i + field[..., 0]
    channels = np.moveaxis(np.atleast_3d(moved.array[0]), -1, 0)
    read = np.stack([map_coordinates(channel.astype(np.float32), places, order=1) for channel in channels], -1)
    return moved.with_array(np.rint(read).astype(moved.array.dtype).reshape(moved.array.shape))


def scores(aligned: Aligned, original: Aligned) -> np.ndarray:
    """The panel of the fused pair against the original sources."""
    evaluation = evaluate(fuse_aligned(aligned, method="laplacian"), original, "panel")
    return np.array([evaluation[name].value for name in PANEL])


def registered(mri: Volume, other: Volume, kind: str) -> Aligned:
    """The pair as a kind of registration leaves it; as it was given if that is refused."""
    try:
        return bring_together([mri, other], register=kind, color="none")
    except RegistrationError as refused:
        print(refused, file=sys.stderr)
        return align([mri, other], color="none")


def measured(mri: Volume, moved: Volume, original: Volume) -> dict[str, tuple[float, np.ndarray]]:
    """(displacement error, panel) of the pair as it is, by each kind of registration, and of what there is to reach."""
    original = replace(original, grid=mri.grid)
    there = align([mri, original], color="none")
    truth, inside = true_field(gray(original), gray(moved)), gray(original) > 0.05
    back = align([mri, brought_back(moved, truth)], color="none")
    found = {"original": (0.0, scores(there, there)), "true": (0.0, scores(back, there))}
    for kind in ("none", *KINDS):
        aligned = registered(mri, moved, kind)
        found[kind] = error(aligned, truth, inside), scores(aligned, there)
    pair = align([mri, moved], color="none").volumes
    field = elastix_field(*(volume.array[0] for volume in pair))
    found["elastix"] = _mean_length(truth * np.nan if field is None else field - truth, inside), found["none"][1]
    drift = registered(mri, original, "deformable")
    found["drift"] = error(drift, np.zeros_like(truth), inside), scores(drift, there)
    return found


def main(data: Path, split: str = "train", every: int = 1) -> None:
    """Print the table."""
    rows: dict[str, list[dict[str, tuple[float, np.ndarray]]]] = {}
    for number, (name, *images) in enumerate(cases(data / "slices", split)):
        if number % every == 0:
            rows.setdefault(name, []).append(measured(*images))
    errors, shared = ("none", *KINDS, "elastix", "drift"), (*KINDS, "true")
    titles = [*(f"{kind}, pixels" for kind in errors), *(f"{kind}, recovered" for kind in shared)]
    print("| set | pairs | " + " | ".join(titles) + " |\n" + "|---" * (2 + len(titles)) + "|")
    for name, each in rows.items():
        pixels = [f"{np.mean([row[kind][0] for row in each]):.2f}" for kind in errors]
        mean = {kind: np.mean([row[kind][1] for row in each], 0).sum() for kind in each[0]}
        shares = [f"{(mean[kind] - mean['none']) / (mean['original'] - mean['none']):.0%}" for kind in shared]
        print(f"| {name} | {len(each)} | " + " | ".join([*pixels, *shares]) + " |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3], *map(int, sys.argv[3:4]))
