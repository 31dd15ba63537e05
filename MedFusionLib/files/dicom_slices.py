"""Where the slices of a DICOM series lie, and whether they make one even stack. All in DICOM's LPS mm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from MedFusionLib.errors import DataError, GeometryError

if TYPE_CHECKING:
    from pydicom import Dataset

_GEOMETRY = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
"""The tags that place a slice, and how many numbers each has."""

_SAME = 1e-3
"""Direction cosines (0.06 degrees), pixel sizes and positions (mm) that differ by less are the same."""

_UNEVEN = 0.1
"""Largest deviation of a gap from the median gap: the bed positions of a PET scanner overlap by less."""

_DRIFT = 0.25
"""Largest distance, in gaps, of a slice from its place on the even grid."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice: where its pixels are, and where it lies in LPS mm.

    Args:
        file: the DICOM file.
        index: its frame in the file.
        position: (3,) center of the first pixel.
        rows: (2, 3) unit vectors of i and j.
        spacing: (2,) mm along j and i, in DICOM's order.
        rescale: slope and intercept, where the frame has its own.
    """

    file: Path
    index: int
    position: np.ndarray
    rows: np.ndarray
    spacing: np.ndarray
    rescale: tuple[float, ...]


def frames_of(file: Path, header: Dataset, name: str) -> list[Frame]:
    """The slices of a file. Those of a classic multi-frame file follow the first one along the normal.

    Args:
        file: the DICOM file.
        header: its header.
        name: what to call the series in errors.

    Raises:
        GeometryError: if a tag that tells their place is missing; the message names it.
        DataError: if they are projections, or scaled differently.
    """
    places = _places(header)
    stepped = len(places) > 1 and "PerFrameFunctionalGroupsSequence" not in header
    if stepped and header.get("Modality") == "NM" and "RECON" not in str(header.get("ImageType")):
        raise DataError(
            f"Frames of {name}",
            found=f"{len(places)} frames of ImageType {header.get('ImageType')}",
            accepted="reconstructed slices (RECON TOMO)",
            fix="Projections cannot be fused: reconstruct them first",
        )
    slots = _numbers([header], "SliceVector", len(places)) if "SliceVector" in header else 1 + np.arange(len(places))
    wanted = _GEOMETRY | ({"SpacingBetweenSlices": 1} if stepped else {})
    frames = []
    for index, place in enumerate(places):
        values = {tag: value for tag, count in wanted.items() if (value := _numbers(place, tag, count)) is not None}
        missing = [tag for tag in wanted if tag not in values] + (["SliceVector"] if slots is None else [])
        if missing or slots is None:
            raise GeometryError(
                f"Place of the slices of {name}",
                found=f"no usable {', '.join(missing)}",
                accepted="DICOM images that tell where each slice lies",
                fix="Export the series again, or convert it to NIfTI with a tool that knows this scanner",
            )
        position, rows, spacing, *step = values.values()
        rows = rows.reshape(2, 3)
        if stepped:
            position = position + np.cross(*rows) * step[0] * (slots[index] - 1)
        rescale = (_numbers(place, tag, 1) for tag in ("RescaleSlope", "RescaleIntercept"))
        frames.append(Frame(file, index, position, rows, spacing, tuple(v[0] for v in rescale if v is not None)))
    _refuse_unlike_scales(frames, name)
    return frames


def _refuse_unlike_scales(frames: Sequence[Frame], name: str) -> None:
    """SimpleITK scales all frames of a file alike."""
    scales = {frame.rescale for frame in frames}
    if len(scales) > 1:
        raise DataError(
            f"Frames of {name}",
            found=f"{len(scales)} different RescaleSlope or RescaleIntercept in one file",
            accepted="one for all frames",
            fix="Export the series as classic single-frame DICOM",
        )


def _numbers(places: Iterable[Dataset], tag: str, count: int) -> np.ndarray | None:
    """The value of a tag in the first place that has it, if it is that many finite numbers."""
    for place in places:
        if tag in place:
            try:
                value = np.atleast_1d(np.asarray(place[tag].value, dtype=float))
            except (TypeError, ValueError):
                return None
            return value if value.shape == (count,) and np.isfinite(value).all() else None
    return None


def _places(header: Dataset) -> list[list[Dataset]]:
    """For each frame, where its geometry may stand: in the header, the first detector, or the functional groups."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        detectors = list(header.get("DetectorInformationSequence") or [])[:1]
        return [[header, *detectors]] * int(header.get("NumberOfFrames") or 1)
    shared = _macros(header.get("SharedFunctionalGroupsSequence") or [])
    return [_macros([group]) + shared for group in header.PerFrameFunctionalGroupsSequence]


def _macros(groups: Iterable[Dataset]) -> list[Dataset]:
    return [macro for group in groups for element in group if element.VR == "SQ" for macro in element.value]


def stacked(frames: list[Frame], name: str) -> list[Frame]:
    """The frames in order along their normal: never by file name or number.

    Args:
        frames: of the whole series, in any order.
        name: what to call the series in errors.

    Raises:
        GeometryError: if they are not parallel, of one pixel size and evenly spaced (a slice is missing).
        DataError: if there are several at one place.
    """
    first = frames[0]
    if any(np.abs(frame.rows - first.rows).max() > _SAME for frame in frames):
        kinds = len({tuple(np.round(frame.rows.ravel(), 3)) for frame in frames})
        raise GeometryError(f"Slices of {name}", found=f"{kinds} orientations", accepted="parallel slices")
    if any(np.abs(frame.spacing - first.spacing).max() > _SAME for frame in frames):
        kinds = len({tuple(np.round(frame.spacing, 3)) for frame in frames})
        raise GeometryError(f"Slices of {name}", found=f"{kinds} pixel sizes", accepted="one pixel size")
    normal = np.cross(*first.rows)
    frames = sorted(frames, key=lambda frame: float(frame.position @ normal))
    _check_gaps(np.array([frame.position for frame in frames]), normal, name)
    return frames


def _check_gaps(positions: np.ndarray, normal: np.ndarray, name: str) -> None:
    heights = positions @ normal
    gaps = np.diff(heights)
    if not len(gaps):
        return
    if gaps.min() < _SAME:
        places = 1 + int((gaps >= _SAME).sum())
        raise DataError(
            f"Slices of {name}",
            found=f"{len(heights)} images at {places} positions: {len(heights) / places:g} time points or echoes",
            accepted="one image at each position",
            fix="Export one time point (or the mean) as a series of its own",
        )
    usual = np.median(gaps)
    odd = np.flatnonzero(np.abs(gaps - usual) > _UNEVEN * usual)
    line = positions[0] + np.linspace(0, 1, len(positions))[:, None] * (positions[-1] - positions[0])
    drift = np.linalg.norm(positions - line, axis=1).max()
    if len(odd) or drift > _DRIFT * usual:
        listed = ", ".join(f"{gaps[n]:.4g} mm at {heights[n]:.4g} mm" for n in odd[:5])
        raise GeometryError(
            f"Slices of {name}",
            found=f"usual gap {usual:.4g} mm; unlike it: {listed or 'none'}; largest drift {drift:.3g} mm",
            accepted=f"gaps within {_UNEVEN:.0%} and places within {_DRIFT:.0%} of the usual gap",
            fix="Slices are missing: export the whole series again",
        )


def affine_of(frames: Sequence[Frame], header: Dataset) -> np.ndarray:
    """(i, j, k, 1) -> LPS mm. The step of k is taken from the positions, so gantry tilt stays in it as shear."""
    first, last = frames[0], frames[-1]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = first.rows * first.spacing[::-1, None]
    if len(frames) > 1:
        affine[:3, 2] = (last.position - first.position) / (len(frames) - 1)
    else:
        # A lone slice has no neighbor: one millimeter where nothing is told.
        thickness = header.get("SpacingBetweenSlices") or header.get("SliceThickness") or 1
        affine[:3, 2] = np.cross(*first.rows) * abs(float(thickness))
    affine[:3, 3] = first.position
    return affine
