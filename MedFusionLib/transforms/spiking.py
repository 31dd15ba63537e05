"""Pulse-coupled neurons: one a voxel, firing earlier and more often the stronger it and its neighbors are stimulated.

Every model takes stimuli (B, C, H, W) >= 0 and returns how often each neuron fired, (B, C, H, W) int16. Each (b, c) is
a sheet of neurons with statistics of its own; beyond its border nothing fires.

Counts are those of float32 whatever the type of the stimuli, and carry no gradient: they are piecewise constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from MedFusionLib.transforms.sheets import Step, each, watched
from MedFusionLib.transforms.window import box_sum

_SILENCE = 1e-6
"""Stimuli below this are the rounding of a transform: images are in [0, 1]."""

_AXES = (2, 3)


def pcnn(
    stimulus: Tensor,
    iterations: int = 200,
    *,
    linking: float = 3.0,
    linking_decay: float = 1.0,
    threshold_decay: float = 0.2,
    threshold_gain: float = 20.0,
) -> Tensor:
    """The classic pulse-coupled network (Johnson, Padgett 1999, IEEE Transactions on Neural Networks 10(3):480-498).

    Args:
        stimulus: (B, C, H, W), made for values in [0, 1].
        iterations: how long the neurons are watched, at most 32767.
        linking: how strongly firing neighbors raise a neuron's activity.
        linking_decay: a neighbor's spike is worth exp(-this) of it one iteration later.
        threshold_decay: a neuron's threshold falls to exp(-this) of it each iteration.
        threshold_gain: and rises by this when the neuron has fired.
    """
    forget, fall = math.exp(-linking_decay), math.exp(-threshold_decay)

    def start(part: Tensor) -> Step:
        linked, threshold = torch.zeros_like(part), torch.zeros_like(part)

        def step(near: Tensor, before: Tensor, spikes: Tensor) -> Tensor:
            linked.mul_(forget).add_(near)
            threshold.mul_(fall).add_(before, alpha=threshold_gain)
            activity = torch.mul(linked, linking, out=near).add_(1).mul_(part)
            return torch.gt(activity, threshold, out=spikes)

        return step

    return each(stimulus, iterations, start, diagonal=0.5**0.5)


_SPIKING = (0.1409, 0.1091)
"""The spiking cortical model's weights of edge and of diagonal neighbors."""


def scm(
    stimulus: Tensor, iterations: int = 40, *, decay: float = 0.8, fall: float = 0.7, threshold_gain: float = 20.0
) -> Tensor:
    """The spiking cortical model (Zhan, Zhang, Ma 2009, IEEE Transactions on Neural Networks 20(12):1980-1986).

    Args:
        stimulus: (B, C, H, W), made for values in [0, 1].
        iterations: how long the neurons are watched.
        decay: share of a neuron's activity that remains each iteration.
        fall: share of its threshold that remains.
        threshold_gain: what a spike adds to it.
    """
    edge, diagonal = _SPIKING

    def start(part: Tensor) -> Step:
        activity, threshold = torch.zeros_like(part), torch.ones_like(part)

        def step(near: Tensor, _: Tensor, spikes: Tensor) -> Tensor:
            activity.mul_(decay).add_(near.mul_(edge).add_(1).mul_(part))
            torch.gt(activity, threshold, out=spikes)
            threshold.mul_(fall).add_(spikes, alpha=threshold_gain)
            return spikes

        return step

    return each(stimulus, iterations, start, diagonal=diagonal / edge)


def dual_scm(
    stimuli: Tensor, iterations: int = 40, *, decay: float = 0.8, fall: float = 0.7, threshold_gain: float = 20.0
) -> Tensor:
    """One spiking cortical network that all channels stimulate; counts how often each of them made a neuron fire.

    The dual-channel model of Hou et al. 2019 (doi 10.1007/s11517-018-1935-8), for any number of channels. Its paper
    could not be read: that the strongest channel drives the neuron, and that a channel's linking is the local standard
    deviation of its stimulus, relative to the largest, are ours.

    Args:
        stimuli: (B, K, H, W), made for values in [0, 1].
        iterations: how long the neurons are watched.
        decay: share of a channel's activity that remains each iteration.
        fall: share of a neuron's threshold that remains.
        threshold_gain: what a spike adds to it.
    """
    edge, diagonal = _SPIKING

    def start(part: Tensor) -> Step:
        channels, linking = part[0], part[1]
        activity, threshold = torch.zeros_like(channels), torch.ones_like(channels[0])
        numbers = torch.arange(len(channels), device=part.device).reshape(-1, 1, 1)

        def step(near: Tensor, _: Tensor, spikes: Tensor) -> Tensor:
            activity.mul_(decay).add_((near * edge * linking).add_(1).mul_(channels))
            highest, winner = activity.max(0)
            torch.gt(highest, threshold, out=spikes)
            threshold.mul_(fall).add_(spikes, alpha=threshold_gain)
            return (winner == numbers) * spikes

        return step

    both = torch.stack([stimuli, _relative_deviation(stimuli)]).transpose(1, 2)
    return watched(both, iterations, start, diagonal=diagonal / edge).transpose(0, 1)


def pa_pcnn(stimulus: Tensor, iterations: int = 110) -> Tensor:
    """The simplified network whose parameters follow from each sheet's deviation, maximum and Otsu threshold.

    Chen, Park, Ma, Ala 2011 (IEEE Transactions on Neural Networks 22(6):880-892); for fusion Yin, Liu, Liu, Chen 2019
    (doi 10.1109/TIM.2018.2838778), with the decimal logarithm of their program.

    Args:
        stimulus: (B, C, H, W), made for values in [0, 1].
        iterations: how long the neurons are watched.
    """
    return _adaptive(stimulus, iterations, _adapted(stimulus.flatten(0, 1)))


def adaptive_neuron(stimuli: Tensor, iterations: int = 110) -> Tensor:
    """`pa_pcnn` for activity measures of the sources of one band, whatever their range.

    Stimuli are `normalized`, and one set of parameters follows from those of all sources together: with sets of their
    own the sources' counts could not be compared, and a weaker source often fired more.

    Args:
        stimuli: (B, K, H, W).
        iterations: how long the neurons are watched.
    """
    stimuli = normalized(stimuli)
    parameters = [one.repeat_interleave(stimuli.shape[1], 0) for one in _adapted(stimuli.flatten(1, 2))]
    return _adaptive(stimuli, iterations, parameters)


def normalized(stimuli: Tensor) -> Tensor:
    """Divide (B, K, H, W) by the largest of all K sources, so that they stay comparable; mere rounding becomes 0."""
    stimuli = torch.where(stimuli < _SILENCE, 0, stimuli)
    return stimuli / stimuli.amax((1, 2, 3), keepdim=True).clamp_min(_SILENCE)


def otsu(x: Tensor) -> Tensor:
    """Otsu's threshold (1979, IEEE Transactions on Systems, Man, and Cybernetics 9(1):62-66) of each (N, *) in [0, 1].

    Values are rounded to 256 levels; those above the threshold (N,), float64, are one class.
    """
    levels = (x.detach().flatten(1).clamp(0, 1) * 255 + 0.5).int()
    rows = 256 * torch.arange(len(x), dtype=torch.int32, device=x.device)
    histogram = torch.bincount((levels + rows[:, None]).flatten(), minlength=256 * len(x)).reshape(-1, 256).double()
    count = histogram.cumsum(1)
    total = (histogram * torch.arange(256, dtype=torch.float64, device=x.device)).cumsum(1)
    rest = count[:, -1:] - count
    # Whole numbers up to here, hence exact; an empty class parts nothing.
    between = (total[:, -1:] * count - total * count[:, -1:]) ** 2 / (count * rest).clamp_min(1)
    return between.argmax(1).double() / 255


def _adaptive(stimulus: Tensor, iterations: int, parameters: Sequence[Tensor]) -> Tensor:
    """Firings (B, C, H, W) with each sheet's parameters, as `_adapted` returns them."""

    def start(part: Tensor, decay: Tensor, linking: Tensor, fall: Tensor, gain: Tensor) -> Step:
        activity, threshold = torch.zeros_like(part), torch.ones_like(part)

        def step(near: Tensor, _: Tensor, spikes: Tensor) -> Tensor:
            activity.mul_(decay).add_(near.mul_(linking).add_(1).mul_(part))
            torch.gt(activity, threshold, out=spikes)
            threshold.mul_(fall).addcmul_(spikes, gain)
            return spikes

        return step

    return each(stimulus, iterations, start, diagonal=0.5, parameters=parameters)


def _adapted(sheets: Tensor) -> tuple[Tensor, ...]:
    """Of each sheet (N, H, W): remaining activity, linking, remaining threshold and its rise at a spike, all (N, 1)."""
    values = sheets.detach().flatten(1).float().double()
    top = values.amax(1)
    level = otsu(sheets).clamp_min(1 / 255)
    ratio = top / level
    # The paper's decay constant is log10(1 / deviation).
    decay = values.std(1, correction=0).clamp(1e-6, 1).log10().exp()
    gain = decay + ratio
    fall = level * (1 + decay + decay**2 + (ratio - 1) * decay) / gain
    # A threshold that did not fall would end all firing; it happens only in sheets that are next to empty.
    parameters = (decay, ((ratio - 1) / 6).clamp_min(0), fall.clamp_max(0.99), gain)
    return tuple(parameter.float()[:, None] for parameter in parameters)


def _relative_deviation(x: Tensor) -> Tensor:
    """Standard deviation over 3 x 3 voxels, divided by the largest of its sheet."""
    mean = box_sum(x, _AXES) / 9
    deviation = (box_sum(x**2, _AXES) / 9 - mean**2).clamp_min(0).sqrt()
    return deviation / deviation.amax(_AXES, keepdim=True).clamp_min(_SILENCE)
