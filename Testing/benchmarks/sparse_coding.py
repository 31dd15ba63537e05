"""Convolutional sparse coding beside SPORCO's, on the same image, filters and sparsity, with the same two cores.

    pip install sporco
    python -m Testing.benchmarks.sparse_coding [PICTURE]

Without a picture, the slice is one of the synthetic head's MR. The objective of each is computed by one function, in
float64; the reference is ours at a tolerance of 1e-5.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from MedFusionLib.load import load_volume
from MedFusionLib.phantom import head_phantom
from MedFusionLib.transforms.convolutional import encode, filters_named, objective, smooth_base

SPARSITY = 0.01


def detail(path: str | None) -> torch.Tensor:
    """(256, 256): what the smooth base leaves of a gray image in [0, 1]."""
    if path:
        array = load_volume(path, "OTHER").array[0].astype(np.float32)
    else:
        array = next(volume.array for volume in head_phantom().volumes if volume.modality == "MR")
        array = array[len(array) // 2].astype(np.float32)
    array = array.mean(-1) if array.ndim == 3 else array
    image = torch.from_numpy((array - array.min()) / np.ptp(array))
    return image - smooth_base(image[None], 5.0)[0]


def ours(image: torch.Tensor, filters: torch.Tensor, **options: float) -> tuple[torch.Tensor, float]:
    """Maps (M, H, W) and the seconds they took."""
    start = time.perf_counter()
    maps = encode(image[None], filters, SPARSITY, **options)
    return maps[0], time.perf_counter() - start


def theirs(image: torch.Tensor, filters: torch.Tensor, tolerance: float) -> tuple[torch.Tensor, float]:
    """The same of SPORCO with its automatic penalty, as the published programs use it."""
    from sporco.admm import cbpdn

    options = cbpdn.ConvBPDN.Options(
        {
            "MaxMainIter": 500,
            "RelStopTol": tolerance,
            "rho": 100 * SPARSITY + 0.5,
            "RelaxParam": 1.8,
            "AutoRho": {"Enabled": True},
            "HighMemSolve": True,
        }
    )
    words = np.moveaxis(filters.numpy(), 0, -1)
    start = time.perf_counter()
    solver = cbpdn.ConvBPDN(words, image.numpy(), SPARSITY, options)
    maps = solver.solve()
    seconds = time.perf_counter() - start
    return torch.from_numpy(np.moveaxis(maps.reshape(*image.shape, -1), -1, 0).copy()), seconds


def main(path: str | None = None) -> None:
    """Print the table."""
    torch.set_num_threads(2)
    image, filters = detail(path), filters_named("details")
    print(f"image {tuple(image.shape)}, {len(filters)} filters, sparsity {SPARSITY}")

    def value(maps: torch.Tensor) -> float:
        return objective(image.double()[None], maps.double()[None], filters.double(), SPARSITY)

    best = value(ours(image.double(), filters.double(), tolerance=1e-5, iterations=2000)[0])
    print(f"{'':<26}{'objective':>12}{'above least':>14}{'seconds':>10}")
    print(f"{'least (1e-5, float64)':<26}{best:>12.5f}")
    rows = [("MedFusion, default 2e-3", ours, {"tolerance": 2e-3}), ("MedFusion, 1e-3", ours, {"tolerance": 1e-3})]
    rows += [("SPORCO, 2e-3", theirs, {"tolerance": 2e-3}), ("SPORCO, 1e-3", theirs, {"tolerance": 1e-3})]
    for name, solve, options in rows:
        runs = [solve(image, filters, **options) for _ in range(3)]
        maps, seconds = runs[-1][0], min(run[1] for run in runs)
        print(f"{name:<26}{value(maps):>12.5f}{value(maps) / best - 1:>13.3%}{seconds:>10.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
