"""Q_E of Piella: Q_W of the images times Q_W of their edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from MedFusionLib.params import Choice
from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor


@metric(
    title="Q_E (Piella)",
    family="structure",
    direction="up",
    range=(-1.0, 1.0),
    identical=1.0,
    flat="0 where the sources have texture",
    smallest=8,
    reference="Piella, Heijmans 2003, doi:10.1109/ICIP.2003.1247209",
    undefined="no window of the mask fits the image, or all show one flat patch",
)
def q_e(fused, sources, *, mask=None, spacing=None, border: Annotated[str, Choice("zeros", "replicate")] = "zeros"):
    """Q_W of the images times Q_W of their Prewitt edges, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where windows have their centers; the same flat patch everywhere does not count there.
        spacing: voxel size along each axis.
        border: zeros (as published: the frame of an image that fills it is an edge) or replicate (it is none).
    """
    from MedFusionLib.metrics._uqi import weighted_quality
    from MedFusionLib.metrics._windows import box_window

    window = box_window(fused.ndim - 2, 8, spacing)
    of_edges = weighted_quality(_edges(fused, spacing, border), _edges(sources, spacing, border), window, mask)
    return weighted_quality(fused, sources, window, mask) * of_edges


def _edges(x: Tensor, spacing: Sequence[float] | None, border: str) -> Tensor:
    """Length of the Prewitt gradient, unscaled: equal weights across, minus and plus one along."""
    from torch.nn.functional import pad

    from MedFusionLib.metrics._gradients import magnitude
    from MedFusionLib.metrics._windows import windowed

    ndim = x.ndim - 2
    steps = [step / min(spacing) for step in spacing] if spacing else [1.0] * ndim
    padded = pad(x, (1, 1) * ndim, mode="constant" if border == "zeros" else border)
    along = [[-1 / step, 0.0, 1 / step] for step in steps]
    taps = [[along[n] if n == axis else [1.0, 1.0, 1.0] for n in range(ndim)] for axis in range(ndim)]
    return magnitude([windowed(padded, across) for across in taps])
