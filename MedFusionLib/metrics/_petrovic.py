"""Edges of the sources preserved in the fused image, lost there, and edges added: three shares that sum to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from MedFusionLib.metrics._domain import divided, total
from MedFusionLib.metrics._gradients import Edges, angle_between, edges, magnitude

_STRENGTH = (0.9999, -19.0, 0.5)
_ORIENTATION = (0.9995, -22.0, 0.5)

_EDGE = 2.0
"""From this gradient on (gray levels a voxel) an edge counts by its strength."""

_FAINT = 0.001
"""What all weaker ones count."""


@dataclass(frozen=True)
class Shares:
    """The weight (B, K) of each source's edges, and what of it is preserved, lost and added."""

    preserved: Tensor
    lost: Tensor
    added: Tensor
    weight: Tensor

    def joint(self, part: Tensor) -> Tensor:
        """(B,) share of one of the parts in all sources' edges."""
        return part.sum(1) / self.weight.sum(1)


def shares(fused: Tensor, sources: Tensor, mask: Tensor | None, spacing: Sequence[float] | None) -> Shares:
    """Compare each source's edges with the fused ones.

    What is missing in the quality of an edge is an artifact where the fused edge is stronger than those of all sources
    (Shreyamsha Kumar), and a loss elsewhere.
    """
    parts = [_of_slab(*slab) for slab in edges(fused, sources, mask, spacing, "mirror")]
    return Shares(*(torch.stack(part).sum(0) for part in zip(*parts, strict=True)))


def _of_slab(fused_edges: Edges, source_edges: Edges, mask: Tensor | None) -> tuple[Tensor, ...]:
    found, own = magnitude(fused_edges), magnitude(source_edges)
    artifact = (found > own).all(1, keepdim=True)
    ratio = divided(torch.minimum(found, own), torch.maximum(found, own))
    orientation = 1 - angle_between(fused_edges, source_edges) / (math.pi / 2)
    quality = (_sigmoid(ratio, *_STRENGTH) * _sigmoid(orientation, *_ORIENTATION)).sqrt()
    weight = torch.where(own >= _EDGE, own**1.5, _FAINT)
    missing = (1 - quality) * weight
    added = total(missing * artifact, mask)
    return total(quality * weight, mask), total(missing, mask) - added, added, total(weight, mask)


def _sigmoid(x: Tensor, gain: float, slope: float, middle: float) -> Tensor:
    return gain / (1 + (slope * (x - middle)).exp())
