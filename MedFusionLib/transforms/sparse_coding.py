"""Sparse codes of image patches over a dictionary, and fusion by them.

Batched orthogonal matching pursuit (Pati, Rezaiifar, Krishnaprasad 1993, Asilomar Conference on Signals, Systems and
Computers 1:40-44) on the Gram matrix with a progressive Cholesky factor: all patches of a chunk take their next atom
together, and no patch is looked at again.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from MedFusionLib.transforms.patches import counts, extend, fold, places, unfold
from MedFusionLib.transforms.progress import Told
from MedFusionLib.transforms.rules import chosen, largest, low_pass
from MedFusionLib.weights import find_model

PATCH = 8
"""Side of the patches that the dictionaries are for."""

DICTIONARIES = ("learned", "dct")

_IN_CACHE, _IN_MEMORY = 1024, 16384
"""Patches coded together: on the CPU so that what they share stays in its cache, elsewhere to keep it busy."""

_NEARLY_SPANNED = 1e-6
"""Squared distance of an atom from those already taken that counts as none."""


@lru_cache(maxsize=8)
def dictionary(name: str) -> Tensor:
    """Atoms (64, 256) of unit norm for 8 x 8 patches, float64: "learned" from brain images, or the "dct"."""
    if name == "learned":
        atoms = find_model("patch_dictionary").weights()["atoms"].double()
        return atoms / atoms.norm(dim=0)
    return overcomplete_dct(PATCH, 16)


def overcomplete_dct(size: int, count: int) -> Tensor:
    """Products (size^2, count^2) of cosines of `count` frequencies along each axis, unit norm, mean-free but one."""
    place, frequency = torch.arange(size, dtype=torch.float64), torch.arange(count, dtype=torch.float64)
    waves = torch.cos(torch.pi / count * place[:, None] * frequency)
    waves[:, 1:] -= waves[:, 1:].mean(0)
    return torch.kron(waves / waves.norm(dim=0), waves / waves.norm(dim=0))


def code(signals: Tensor, atoms: Tensor, most: int, tolerance: float = 0.0) -> tuple[Tensor, Tensor]:
    """Sparse codes by orthogonal matching pursuit.

    Args:
        signals: (n, d).
        atoms: (d, m) of unit norm.
        most: atoms that a code may have.
        tolerance: norm of the residual at which a code is done.

    Returns:
        Which atoms, (n, most) int64, and their coefficients (n, most), zero where a code has fewer.
    """
    gram = atoms.T @ atoms
    most = min(most, *atoms.shape)
    index = torch.zeros((len(signals), most), dtype=torch.int64, device=signals.device)
    weights = signals.new_zeros((len(signals), most))
    # Nothing to code where there is nothing: in a head's image half of the patches are black.
    busy = ((signals**2).sum(1) > tolerance**2).nonzero()[:, 0]
    for part in busy.split(_IN_CACHE if signals.device.type == "cpu" else _IN_MEMORY):
        index[part], weights[part] = _pursued(signals[part], atoms, gram, most, tolerance)
    return index, weights


def decode(index: Tensor, weights: Tensor, atoms: Tensor) -> Tensor:
    """The signals (n, d) of codes (n, most)."""
    dense = weights.new_zeros((len(index), atoms.shape[1])).scatter_add_(1, index, weights)
    return dense @ atoms.T


def _pursued(signals: Tensor, atoms: Tensor, gram: Tensor, most: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """`code` for one chunk.

    With the atoms taken so far made orthonormal one after the other (q), `seen` holds the correlations of each q with
    all atoms: its columns at the taken atoms are the rows of the Gram matrix's Cholesky factor.
    """
    rows = torch.arange(len(signals), device=signals.device)
    left, energy = signals @ atoms, (signals**2).sum(1)
    # Subtracting squares leaves rounding: what is below it is nothing.
    done = (8 * torch.finfo(signals.dtype).eps * energy).clamp_min(tolerance**2)
    index = torch.zeros((len(signals), most), dtype=torch.int64, device=signals.device)
    seen = signals.new_empty((len(signals), most, atoms.shape[1]))
    factor, along = signals.new_zeros((len(signals), most, most)), signals.new_zeros((len(signals), most))
    for k in range(most):
        open_ = energy > done
        if not open_.any():
            break
        best = left.abs().argmax(1)
        before = seen[rows, :k, best]
        pivot = (1 - (before**2).sum(1)).clamp_min(_NEARLY_SPANNED).sqrt()
        fresh = torch.baddbmm(gram[best][:, None], before[:, None], seen[:, :k], alpha=-1)[:, 0] / pivot[:, None]
        share = torch.where(open_, left[rows, best] / pivot, 0)
        seen[:, k] = fresh
        left.addcmul_(share[:, None], fresh, value=-1)
        energy = energy - share**2
        index[:, k], along[:, k], factor[:, k, :k], factor[:, k, k] = best, share, before, pivot
    return index, _solved(factor, along)


def _solved(factor: Tensor, along: Tensor) -> Tensor:
    """Coefficients of the atoms from those of the orthonormal ones: back substitution, all codes together."""
    for k in range(along.shape[1] - 1, -1, -1):
        pivot = factor[:, k, k]
        along[:, k] = torch.where(pivot > 0, along[:, k] / pivot, 0)
        along[:, :k] -= factor[:, k, :k] * along[:, k, None]
    return along


def fuse_by_code(
    sources: Tensor,
    atoms: Tensor,
    stride: int,
    most: int,
    tolerance: float,
    *,
    low: str = "energy",
    keep: bool = True,
    progress: Told | None = None,
) -> Tensor:
    """Fuse (B, K, H, W) into (B, 1, H, W): of each patch the source whose code has the largest L1 norm.

    Overlapping patches are averaged. Where no source has a code (flat), the brightest wins.

    Args:
        sources: images.
        atoms: (64, m).
        stride: voxels from patch to patch.
        most: atoms that a code may have.
        tolerance: norm of the residual at which a code is done.
        low: what joins the patches' means: a rule of `low_pass`, or "winner", where the code is from.
        keep: the patch itself is taken, else only what its code says of it.
        progress: called with the share that is done, several times an image.
    """
    padded = extend(sources, PATCH, stride)
    shape = (padded.shape[2], padded.shape[3])
    total = torch.zeros_like(padded[:, :1])
    rows, columns = (places(length, PATCH, stride) for length in shape)
    # Strips of patch rows bound the memory: all patches together are 64 times the image.
    strip = max(1, _IN_MEMORY // (columns * sources.shape[1]))
    for b in range(len(sources)):
        for first in range(0, rows, strip):
            if progress:
                progress((b + first / rows) / len(sources))
            last = min(rows, first + strip) - 1
            lines = slice(first * stride, last * stride + PATCH)
            patches = _chosen_patches(
                unfold(padded[b : b + 1, :, lines], PATCH, stride), atoms, most, tolerance, low, keep
            )
            total[b : b + 1, :, lines] += fold(patches, (lines.stop - lines.start, shape[1]), PATCH, stride)
    fused = total / counts(shape, PATCH, stride, total)
    return fused[:, :, : sources.shape[2], : sources.shape[3]]


def _chosen_patches(patches: Tensor, atoms: Tensor, most: int, tolerance: float, low: str, keep: bool) -> Tensor:
    """(1, K, 64, n) -> (1, 1, 64, n)."""
    mean = patches.mean(2, keepdim=True)
    signals = (patches - mean).detach()[0].mT.flatten(0, 1)
    index, weights = code(signals, atoms, most, tolerance)
    activity = weights.abs().sum(1).reshape(mean.shape)
    best = largest(activity, ties=mean.detach())
    details = patches - mean
    if not keep:
        # As a constant, so that the gradient is that of the patch.
        lost = signals - decode(index, weights, atoms)
        details = details - lost.unflatten(0, (patches.shape[1], -1)).mT[None]
    return chosen(details, best) + (chosen(mean, best) if low == "winner" else low_pass(mean, low, ()))
