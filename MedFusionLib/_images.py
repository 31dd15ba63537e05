"""A fused volume and its sources as the tensors that metrics take."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from MedFusionLib.device import find_device
from MedFusionLib.errors import DataError, ParameterError
from MedFusionLib.harmonize.color import OWN_COLORS, colorize, recolor
from MedFusionLib.harmonize.mask import noise_floor
from MedFusionLib.harmonize.resample import resample
from MedFusionLib.registry import Metric
from MedFusionLib.scores import DOMAINS, MASK, WHOLE
from MedFusionLib.volume import Aligned, Fused, Volume

if TYPE_CHECKING:
    import torch


class Images:
    """Float64 tensors on the device, (1, C, *S) in [0, 1]; S leaves out the axis of a single slice.

    Args:
        fused: the result.
        aligned: its sources, on the same grid.
        domain: one of `DOMAINS`, or a volume: where it is not 0.
        label: a lesion or organ, where it is not 0.
        device: as in `pipeline.fuse`.
        rounded: to 255 levels, as images are that went through 8-bit files.

    Raises:
        DataError: if the fused volume has values that are no numbers, or the domain has no voxel.
    """

    def __init__(
        self, fused: Fused, aligned: Aligned, domain: str | Volume, label: Volume | None, device: str, *, rounded: bool
    ):
        import torch

        if not np.isfinite(fused.volume.array).all():
            raise DataError("Fused volume to score", found="NaN or infinite values", accepted="numbers in [0, 1]")
        self._fused, self._aligned, self._label, self._rounded = fused, aligned, label, rounded
        self._device = find_device(device)
        # MPS has no float64.
        self._dtype = torch.float32 if self._device.type == "mps" else torch.float64
        shape, steps = aligned.grid.shape, aligned.grid.spacing[::-1]
        self._flat = tuple(axis for axis in range(3) if shape[axis] == 1)[:1]
        self.spacing = tuple(float(step) for axis, step in enumerate(steps) if axis not in self._flat)
        self.fused = self._tensor(fused.volume.array[None])
        self.sources = self._tensor(np.stack([volume.array for volume in aligned.volumes]))
        self.mask, self.domain = self._masked(domain)

    @property
    def is_volume(self) -> bool:
        """Whether there is more than one slice."""
        return not self._flat

    @property
    def across(self) -> int:
        """The axis of S along which slices are taken: axial ones, or across the thick voxels."""
        steps = np.array(self.spacing)
        return int(steps.argmax()) if steps.max() > 1.5 * steps.min() else self._aligned.grid.axis_along(2)

    def handed(self, metric: Metric) -> dict[str, Any]:
        """The mask, label and colors, as the metric needs them.

        Raises:
            DataError: if there is no label, or no color, for a metric that asks for it.
        """
        handed: dict[str, Any] = {"mask": self.mask}
        if "label" in metric.needs:
            handed["label"] = self._marked
        if "fused_rgb" in metric.needs:
            handed |= self._colors
        return handed

    @cached_property
    def _marked(self) -> torch.Tensor:
        if self._label is None:
            raise DataError(
                "Task metric",
                found="no label",
                accepted="a volume that marks a lesion or organ",
                fix="Give one with label=, in the terminal with --label",
            )
        marked = self._on_grid(self._label)
        if not marked.any():
            raise DataError(f"Label {self._label.label}", found="no voxel inside the volumes", accepted="at least one")
        return self._tensor(marked[None])

    @cached_property
    def _colors(self) -> dict[str, torch.Tensor]:
        """The fused image and the first functional source in color, where that source shows uptake."""
        number, rgb = colored_source(self._aligned)
        if rgb is None or self._fused.color is None:
            raise DataError(
                "Color metric",
                found="no colored PET or SPECT" if rgb is None else "a gray fused volume",
                accepted="a functional source and a fused volume in color",
                fix="Fuse with a color table",
            )
        array, field = self._aligned.volumes[number].array, self._aligned.fields[number]
        shown = self._fused.color.array / np.float32(255)
        return {
            "mask": self._tensor(((array > noise_floor(array, field)) & field)[None]),
            "fused_rgb": self._tensor(np.moveaxis(shown, -1, 0)),
            "source_rgb": self._tensor(np.moveaxis(rgb, -1, 0)),
        }

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        """(C, K, J, I) to (1, C, *S)."""
        import torch

        squeezed = np.squeeze(array, tuple(1 + axis for axis in self._flat))
        values = torch.from_numpy(np.array(squeezed)).to(self._device)[None]
        if values.dtype == torch.bool:
            return values
        # By way of float32 gray levels: there an 8-bit image is whole numbers again, as metrics that count need it.
        levels = (values * 255).to(self._dtype)
        return (levels.round() if self._rounded else levels) / 255

    def _masked(self, domain: str | Volume) -> tuple[torch.Tensor | None, str]:
        """The mask, and what it is in words."""
        if isinstance(domain, Volume):
            chosen, words = self._on_grid(domain), f"the mask {domain.label}"
        elif domain == MASK:
            chosen, words = self._aligned.mask, "the foreground (where any source shows something)"
        elif domain == WHOLE:
            return None, "the whole image" + (", rounded to 8 bits" if self._rounded else "")
        else:
            accepted = f"{', '.join(DOMAINS)}, or a volume"
            raise ParameterError("Domain of the scores", found=repr(domain), accepted=accepted)
        if not chosen.any():
            fix = "Score the whole image"
            raise DataError(f"Scores inside {words}", found="no voxel", accepted="at least one", fix=fix)
        return self._tensor(chosen[None]), words

    def _on_grid(self, volume: Volume) -> np.ndarray:
        """Where a mask or label is not 0, (K, J, I) bool on the sources' grid."""
        grid, array = self._aligned.grid, np.nan_to_num(volume.array)
        if volume.grid.same_as(grid):
            return np.asarray(array > 0)
        return np.asarray(resample(array, volume.grid, grid, interpolation="nearest") > 0)


def colored_source(aligned: Aligned) -> tuple[int, np.ndarray | None]:
    """Which source brings the color, and that source in it: (K, J, I, 3) RGB in [0, 1], None if none does."""
    for number, told in enumerate(aligned.story.get("sources", ())):
        if told["table"] == OWN_COLORS and aligned.chroma is not None:
            return number, recolor(aligned.volumes[number].array, aligned.chroma)
        if told["table"]:
            return number, colorize(aligned.volumes[number].array, told["table"])
    return 0, None
