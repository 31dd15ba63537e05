"""K-SVD: learn a dictionary in which signals have sparse codes.

Aharon, Elad, Bruckstein 2006, IEEE Transactions on Signal Processing 54(11):4311-4322.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from MedFusionLib.transforms.sparse_coding import code, decode

_ALIKE = 0.99
"""Two atoms with a larger cosine are one too many."""

_FEWEST_USERS = 4

_SETTLING = 3
"""Iterations at the end in which no atom is replaced: every atom of the result is one that many signals agreed on."""


def learn(
    signals: Tensor,
    count: int = 256,
    most: int = 8,
    iterations: int = 30,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> Tensor:
    """Learn a dictionary.

    Args:
        signals: (n, d), more than `count`, none of them zero.
        count: of atoms.
        most: atoms that a signal's code has.
        iterations: of coding all signals and bringing every atom up to date.
        seed: of the choice of the signals to begin with.
        progress: called with the iteration and the root-mean-square of the residuals.

    Returns:
        (d, count) atoms of unit norm.
    """
    generator = torch.Generator().manual_seed(seed)
    first = signals[torch.randperm(len(signals), generator=generator)[:count]]
    atoms = (first / first.norm(dim=1, keepdim=True)).T.contiguous()
    for iteration in range(iterations):
        index, weights = code(signals, atoms, most)
        residual = signals - decode(index, weights, atoms)
        if progress:
            progress(iteration, float(residual.square().mean().sqrt()))
        for k in range(count):
            _update(atoms, residual, index, weights, k)
        if iteration < iterations - _SETTLING:
            _replace(atoms, signals, residual, index, weights)
    return atoms


def _update(atoms: Tensor, residual: Tensor, index: Tensor, weights: Tensor, k: int) -> None:
    """Make one atom and its coefficients the best for the signals that use it, in place: a rank-one approximation."""
    users, slots = ((index == k) & (weights != 0)).nonzero(as_tuple=True)
    if len(users) == 0:
        return
    without = residual[users] + weights[users, slots, None] * atoms[:, k]
    # The first right singular vector, from the small matrix; its sign is kept, so that a run can be followed.
    atom = torch.linalg.eigh(without.T @ without)[1][:, -1]
    atom = atom * torch.where(atom @ atoms[:, k] < 0, -1, 1)
    atoms[:, k], weights[users, slots] = atom, without @ atom
    residual[users] = without - weights[users, slots, None] * atom


def _replace(atoms: Tensor, signals: Tensor, residual: Tensor, index: Tensor, weights: Tensor) -> None:
    """Put the worst coded signals in the places of atoms that few use or that are like another, in place."""
    users = torch.bincount(index[weights != 0], minlength=atoms.shape[1])
    alike = (atoms.T @ atoms).abs().triu(1).amax(0) > _ALIKE
    idle = ((users < _FEWEST_USERS) | alike).nonzero()[:, 0]
    worst = signals[residual.norm(dim=1).argsort(descending=True, stable=True)[: len(idle)]]
    atoms[:, idle] = (worst / worst.norm(dim=1, keepdim=True)).T
