"""The one place where the steps meet: `fuse` takes volumes to a fused volume and tells how it was made."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from MedFusionLib import __version__
from MedFusionLib.device import find_device
from MedFusionLib.errors import DataError, ParameterError
from MedFusionLib.harmonize import AUTOMATIC, align
from MedFusionLib.harmonize.color import recolor
from MedFusionLib.harmonize.grid import Region, Spacing
from MedFusionLib.harmonize.pose import Pose
from MedFusionLib.registry import Method, find_method
from MedFusionLib.slabs import Progress, Run, Sources, covariance
from MedFusionLib.volume import Aligned, Fused, Grid, Volume

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike

_log = logging.getLogger("MedFusionLib")

NONE = "none"
REGISTRATIONS = (NONE, "rigid", "affine", "deformable")
VOLUME, ALL_PLANES = "volume", "all"
_NORMAL = {"sagittal": 0, "coronal": 1, "axial": 2}
PLANES = (AUTOMATIC, VOLUME, *_NORMAL, ALL_PLANES)

_NEARLY_CUBIC = 5.5
"""Voxels up to this many times longer than wide (PET/CT: 1 x 1 x 5 mm) are fused in 3-D by default, so that neighboring
slices agree; thicker slices one by one, since a neighborhood round in voxels would reach far through them."""

_ALIGN_SHARE = 0.4
"""Of the progress bar, what aligning takes."""

_REGISTER_SHARE = 0.8
"""Of that part, what registering takes where it is asked for."""


def fuse(
    volumes: Sequence[Volume],
    *,
    method: str = "laplacian",
    parameters: Mapping[str, Any] | None = None,
    register: str = NONE,
    poses: Sequence[Pose | ArrayLike | None] | None = None,
    reference: int = 0,
    spacing: Spacing = None,
    region: Region = None,
    windows: Sequence[Sequence[float] | None] | None = None,
    color: str = AUTOMATIC,
    interpolation: str | None = None,
    plane: str = AUTOMATIC,
    model: str | Path | None = None,
    device: str = AUTOMATIC,
    progress: Progress | None = None,
) -> Fused:
    """Fuse 2..N volumes of one patient into one.

    Args:
        volumes: the sources, in the order the method sees them.
        method: a name of `list_methods()`.
        parameters: the method's own, by name; the rest keep their defaults.
        register: "none", or how the volumes are brought to the reference first: "rigid", "affine" or "deformable".
        poses: where they lie already, as `harmonize.align` takes them; with `register`, where its search begins.
        reference: index of the volume whose grid is taken; this and the next five are `harmonize.align`'s.
        spacing: None for the reference's voxels, millimeters, or "finest".
        region: two opposite corners (RAS mm) of the box to fuse, or None for all.
        windows: (low, high) for each volume, in its unit.
        color: a color table for the functional sources, "auto" or "none".
        interpolation: "linear", "bspline" or "nearest" for all.
        plane: "volume", "axial", "coronal", "sagittal", "all" or "auto"; see `fuse_aligned`.
        model: folder of a model to run a learned method with instead of the shipped one.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        progress: called with (fraction 0..1, message), at least once a slab; raise `Cancelled` in it to stop.

    Returns:
        The fused volume in [0, 1], its color rendering if there is color, the story and the poses.

    Raises:
        InputError: its kinds say what is wrong with the volumes or the choices, before any long work starts.
        OutOfMemoryError: if not even the smallest slab fits.
    """
    check_choices(method, parameters, plane, device, register, model)
    aligned = bring_together(
        volumes,
        register=register,
        poses=poses,
        reference=reference,
        spacing=spacing,
        region=region,
        windows=windows,
        color=color,
        interpolation=interpolation,
        progress=part(progress, 0, _ALIGN_SHARE),
    )
    return fuse_aligned(
        aligned,
        method=method,
        parameters=parameters,
        plane=plane,
        model=model,
        device=device,
        progress=part(progress, _ALIGN_SHARE, 1),
    )


def bring_together(
    volumes: Sequence[Volume],
    *,
    register: str = NONE,
    poses: Sequence[Pose | ArrayLike | None] | None = None,
    reference: int = 0,
    progress: Progress | None = None,
    **choices: Any,
) -> Aligned:
    """Register the volumes to the reference if asked to, then align them; each is interpolated once.

    Args:
        volumes: the sources.
        register: "none", "rigid", "affine" or "deformable".
        poses: as in `fuse`.
        reference: index of the volume the others are brought to.
        progress: as in `fuse`.
        choices: the other ones of `harmonize.align`.

    Raises:
        RegistrationError: if a registration would make it worse; others as `registration.register` and `align`.
    """
    if register == NONE:
        return align(volumes, poses=poses, reference=reference, progress=progress, **choices)
    from MedFusionLib.registration import register_all

    tell = part(progress, 0, _REGISTER_SHARE)
    found = register_all(volumes, register, reference=reference, starts=poses, progress=tell)
    aligned = align(
        volumes,
        poses=[None if each is None else each.pose for each in found],
        reference=reference,
        progress=part(progress, _REGISTER_SHARE, 1),
        **choices,
    )
    plan = dict(aligned.story["plan"])
    if "poses" not in plan:
        # No matrix tells a deformation: the plan registers again, which gives the same.
        plan |= {"register": register}
    notes = [*(note for each in found if each for note in each.quality.notes), *aligned.story["notes"]]
    told = [each and {"kind": each.kind, **asdict(each.quality)} for each in found]
    return replace(aligned, story={**aligned.story, "plan": plan, "registration": told, "notes": notes})


def fuse_aligned(
    aligned: Aligned,
    *,
    method: str = "laplacian",
    parameters: Mapping[str, Any] | None = None,
    plane: str = AUTOMATIC,
    model: str | Path | None = None,
    device: str = AUTOMATIC,
    progress: Progress | None = None,
) -> Fused:
    """Fuse volumes that share a grid already.

    Args:
        aligned: what `harmonize.align` made.
        method: a name of `list_methods()`.
        parameters: the method's own, by name.
        plane: "volume" fuses in 3-D; "axial", "coronal" or "sagittal" slice by slice; "all" averages these three.
            "auto" is 3-D where the method can and the voxels are nearly cubic, else the thick slices one by one.
        model: folder (or name) of a model to run a learned method with instead of the shipped one, as `medfusion train`
            and `medfusion import-weights` write it.
        device: "auto" (CUDA, else MPS, else CPU), "cpu", "cuda", "cuda:1", "mps".
        progress: as in `fuse`.

    Raises:
        UnknownNameError, ParameterError, DataError, InputError, OutOfMemoryError: as in `fuse`.
    """
    entry, chosen, target = check_choices(method, parameters, plane, device, model=model)
    order = _order(entry, aligned)
    notes: list[str] = []
    if entry.sources[1] and len(order) > entry.sources[1]:
        chain = ", ".join(aligned.volumes[number].label for number in order)
        notes.append(f"{entry.title} takes {entry.sources[1]} sources: fused one after the other, {chain}")
    if entry.double and target.type == "mps":
        target = find_device("cpu")
        notes.append(f"{entry.title} needs float64, which MPS does not have: it runs on the CPU")
    start, planes = perf_counter(), _planes(entry, aligned.grid, plane)
    values, clipped, devices = np.zeros(0, np.float32), 0, []
    for number, name in enumerate(planes):
        share = part(progress, number / len(planes), (number + 1) / len(planes))
        result, run = _pass(aligned, entry, chosen, name, model, target, notes, share)
        values = result if number == 0 else np.add(values, result, out=values)
        clipped += run.clipped
        devices.append(_device_name(run.device))
    if len(planes) > 1:
        values /= len(planes)
    for note in notes:
        _log.warning(note)
    volume = Volume(values, aligned.grid, "OTHER", f"{'+'.join(aligned.modalities)} {entry.name}")
    story = {
        **aligned.story,
        "medfusion": __version__,
        "method": entry.name,
        "parameters": chosen,
        "plan": {
            **aligned.story.get("plan", {}),
            "plane": plane,
            "device": device,
            **({} if model is None else {"model": str(model)}),
        },
        "planes": planes,
        "devices": sorted(set(devices)),
        **_model_told(model or entry.model),
        "versions": _versions(),
        "fused_clipped_share": clipped / max(1, len(planes) * int(aligned.mask.sum())),
        "notes": [*aligned.story.get("notes", ()), *notes],
        "seconds": {**aligned.story.get("seconds", {}), "fuse": perf_counter() - start},
    }
    return Fused(volume, _colored(volume, aligned), story, aligned.poses)


def check_choices(
    method: str,
    parameters: Mapping[str, Any] | None,
    plane: str,
    device: str,
    register: str = NONE,
    model: str | Path | None = None,
) -> tuple[Method, dict[str, Any], torch.device]:
    """The method, all of its parameters and the device, before any work starts.

    Raises:
        UnknownNameError, ParameterError, DependencyError, InputError: as in `fuse`.
    """
    entry = find_method(method)
    chosen = entry.checked(dict(parameters or {}))
    able = [p for p in PLANES if p == AUTOMATIC or (3 if p == VOLUME else 2) in entry.dims]
    if plane not in able:
        raise ParameterError(f"Plane for {entry.title}", found=repr(plane), accepted=", ".join(able))
    if register not in REGISTRATIONS:
        raise ParameterError("Registration", found=repr(register), accepted=", ".join(REGISTRATIONS))
    if model is not None and not entry.model:
        raise ParameterError(f"Model for {entry.title}", found=str(model), accepted="none: it was not learned")
    return entry, chosen, find_device(device)


def _order(entry: Method, aligned: Aligned) -> list[int]:
    """The sources as the method gets them: as they are, anatomical first where it takes fewer and gets them in turn."""
    count, (fewest, most) = len(aligned.volumes), entry.sources
    if count < fewest:
        accepted = f"{fewest} or more" if most is None else f"{fewest} to {most}"
        raise DataError(f"Sources of {entry.title}", found=count, accepted=accepted)
    if most is None or count <= most:
        return list(range(count))
    return sorted(range(count), key=lambda number: aligned.volumes[number].is_functional)


def _pass(
    aligned: Aligned,
    entry: Method,
    parameters: dict[str, Any],
    plane: str,
    model: str | Path | None,
    device: torch.device,
    notes: list[str],
    progress: Progress | None,
) -> tuple[np.ndarray, Run]:
    """One run over the volume, in 3-D or in one plane: (K, J, I) float32, the reference outside the foreground."""
    volumetric = plane == VOLUME
    axis = 0 if volumetric else aligned.grid.axis_along(_NORMAL[plane])
    order = _order(entry, aligned)
    sources = Sources(
        tuple(np.moveaxis(aligned.volumes[number].array, axis, 0) for number in order),
        None if aligned.fields.all() else tuple(np.moveaxis(aligned.fields[number], axis, 0) for number in order),
        np.moveaxis(aligned.mask, axis, 0),
        order.index(aligned.reference),
    )
    result = aligned.volumes[aligned.reference].array.copy()
    handed = _handed(entry, aligned, axis, volumetric, sources) | ({} if model is None else {"model": model})
    run = Run(entry, parameters, handed, volumetric, device, notes)
    run(sources, np.moveaxis(result, axis, 0), progress)
    return result, run


def _handed(entry: Method, aligned: Aligned, axis: int, volumetric: bool, sources: Sources) -> dict[str, Any]:
    """What the method asked for besides the sources; the mask, which is cut with them, is handed over a slab."""
    import torch

    handed: dict[str, Any] = {}
    if "modalities" in entry.needs:
        handed["modalities"] = aligned.modalities
    if "spacing" in entry.needs:
        spacing = list(aligned.grid.spacing[::-1])
        handed["spacing"] = tuple(spacing if volumetric else np.delete(spacing, axis).tolist())
    if "moments" in entry.needs:
        # A matrix this small stays on the CPU: it outlives a retreat, and MPS has no float64.
        handed["moments"] = torch.from_numpy(covariance(sources))
    return handed


def _model_told(name: str | Path) -> dict[str, Any]:
    """Which weights a learned method ran with; nothing for the others."""
    if not name:
        return {}
    from MedFusionLib.weights import WEIGHTS, find_model

    card = find_model(name).card
    return {"model": {"name": card["name"], "sha256": card["sha256"][WEIGHTS]}}


def _planes(entry: Method, grid: Grid, plane: str) -> list[str]:
    """The passes to make."""
    if plane == AUTOMATIC:
        return [_automatic_plane(entry, grid)]
    return list(_NORMAL) if plane == ALL_PLANES else [plane]


def _automatic_plane(entry: Method, grid: Grid) -> str:
    steps, flat = np.array(grid.spacing[::-1]), min(grid.shape) == 1
    cubic = not flat and steps.max() <= _NEARLY_CUBIC * steps.min()
    if 3 in entry.dims and (cubic or 2 not in entry.dims):
        return VOLUME
    if cubic:
        return "axial"
    across = int(np.argmin(grid.shape) if flat else np.argmax(steps))
    return next(name for name, direction in _NORMAL.items() if grid.axis_along(direction) == across)


def part(progress: Progress | None, start: float, stop: float) -> Progress | None:
    """A callback for the part of the work from start to stop that reports progress of the whole."""
    if progress is None:
        return None
    return lambda fraction, message: progress(start + fraction * (stop - start), message)


def _colored(volume: Volume, aligned: Aligned) -> Volume | None:
    """The fused luminance with the sources' chroma, 8 bits a channel, slice by slice to spare memory."""
    if aligned.chroma is None:
        return None
    rgb = np.empty((*aligned.grid.shape, 3), np.uint8)
    for k in range(rgb.shape[0]):
        rgb[k] = np.rint(recolor(volume.array[k], aligned.chroma[k]) * 255)
    return volume.with_array(rgb)


def _device_name(device: torch.device) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _versions() -> dict[str, str]:
    import SimpleITK as sitk
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "SimpleITK": sitk.Version.VersionString(),
    }
