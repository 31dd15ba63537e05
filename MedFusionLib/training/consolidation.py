"""Elastic weight consolidation: what was learned before holds the weights that it needs.

Kirkpatrick et al. 2017, doi 10.1073/pnas.1611835114; in fusion since FusionDN and U2Fusion.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

STRENGTH = 80_000.0
"""Of the penalty, as in FusionDN and U2Fusion."""

_BATCHES = 30
"""Of each task, for how much its loss asks of a weight."""


class Consolidation:
    """A penalty for leaving the weights that earlier tasks need.

    Args:
        strength: of the penalty; 0 lets the network forget.
    """

    def __init__(self, strength: float = STRENGTH):
        self.strength = strength
        self._needs: dict[str, Tensor] = {}
        self._anchors: dict[str, Tensor] = {}
        self._tasks = 0

    def remember(self, network: nn.Module, loss: Callable[[nn.Module, Tensor], Tensor], batches: object) -> None:
        """Take in a task: how much its loss asks of each weight where it ended.

        That is the mean squared gradient of batches' mean losses, which the papers' code takes for the diagonal of
        Fisher's information; so the strength belongs to a size of batches and a scale of losses.

        Args:
            network: as it came out of the task.
            loss: of the task.
            batches: called for a batch of it.
        """
        network.eval()
        learned = {name: each for name, each in network.named_parameters() if each.requires_grad}
        squares = {name: torch.zeros_like(each) for name, each in learned.items()}
        for _ in range(_BATCHES):
            gradients = torch.autograd.grad(loss(network, batches()), list(learned.values()))  # type: ignore[operator]
            for name, gradient in zip(learned, gradients, strict=True):
                squares[name] += gradient.square() / _BATCHES
        for name, square in squares.items():
            # The mean over all tasks so far, as the papers take batches of all of them.
            before = self._needs.get(name, torch.zeros_like(square))
            self._needs[name] = (before * self._tasks + square) / (self._tasks + 1)
        self._anchors = {name: each.detach().clone() for name, each in learned.items()}
        self._tasks += 1

    def penalty(self, network: nn.Module) -> Tensor:
        """Half the strength times the weighted squared distance from where the last task ended."""
        total = torch.zeros((), device=next(network.parameters()).device)
        for name, each in network.named_parameters():
            if name in self._needs:
                anchor, need = self._anchors[name].to(each.device), self._needs[name].to(each.device)
                total = total + (need * (each - anchor).square()).sum()
        return self.strength / 2 * total
