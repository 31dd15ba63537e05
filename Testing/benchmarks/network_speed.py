"""Seconds of the learned methods on a 256 x 256 pair, beside a plain eager forward pass of the same network.

    python -m Testing.benchmarks.network_speed [METHOD ...]

Both are timed in turn in one process, so that what else the machine does slows both; medians of `RUNS` after one more.
The plain pass is what a reader of the paper would write: the network as it is trained, float32, no gradients, without
even the steps that make an image of its output. The last columns are for a slice of `SLICES`, handed over at once.
"""

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter

import torch

from MedFusionLib.registry import find_method, list_methods
from MedFusionLib.training.recipe import recipes
from MedFusionLib.weights import find_model

RUNS, SLICES = 15, 8


def plain(name):
    """(1, 2, H, W) -> what the network makes of it, nothing of it prepared."""
    recipe, model = recipes()[name], find_model(name)
    told = {key: tuple(value) if isinstance(value, list) else value for key, value in model.card["config"].items()}
    network = recipe.build(type(recipe.config)(**told)).eval()
    network.load_state_dict({key: each.float() for key, each in model.weights().items()})
    if hasattr(network, "encode") and name != "ifcnn":
        # An auto-encoder sees one source at a time; between its halves they are joined.
        return lambda pair: network.decode(network.encode(pair.flatten(0, 1)[:, None]).unflatten(0, (-1, 2)).mean(1))
    if name == "stacked_autoencoder":
        return lambda pair: network(pair.flatten(0, 1)[:, None])
    return network


def timed(runs, pair, count):
    """Median seconds of each, run in turn."""
    times = [[] for _ in runs]
    with torch.inference_mode():
        for number in range(count + 1):
            for run, seconds in zip(runs, times, strict=True):
                start = perf_counter()
                run(pair)
                if number:
                    seconds.append(perf_counter() - start)
    return [median(seconds) for seconds in times]


def main(names):
    """A row a method."""
    generator = torch.Generator().manual_seed(0)
    pair = torch.rand((1, 2, 256, 256), generator=generator)
    names = names or [name for name, entry in list_methods().items() if entry.model in recipes()]
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'method':22}{'plain s':>9}{'ours s':>9}{'ratio':>7}{'plain s a slice':>18}{'ours':>9}{'ratio':>7}")
    for name in names:
        entry = find_method(name)
        runs = (plain(entry.model), entry.function)
        eager, ours = timed(runs, pair, RUNS)
        many, lean = (seconds / SLICES for seconds in timed(runs, pair.expand(SLICES, -1, -1, -1), 3))
        row = f"{name:22}{eager:9.4f}{ours:9.4f}{ours / eager:7.2f}{many:18.4f}{lean:9.4f}{lean / many:7.2f}"
        print(row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
