"""One plain loop: steps, validation, checkpoints, curves.

The same seed on the CPU gives the same weights to the bit, whether it was resumed or not.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from MedFusionLib.errors import FileError, RunError
from MedFusionLib.save import writing_beside
from MedFusionLib.slabs import Progress

Loss = Callable[[nn.Module, Tensor], Tensor]
"""(network, batch (B, K, H, W)) -> a scalar."""

CHECKPOINT, CURVE = "checkpoint.pt", "curve.csv"


@dataclass(frozen=True)
class Schedule:
    """How long, how fast, how often.

    Args:
        steps: of the optimizer.
        rate: of learning at the beginning; it falls to a hundredth along a cosine.
        decay: of weights (AdamW: Loshchilov and Hutter 2019, arXiv 1711.05101).
        clip: largest norm of the gradient.
        average: share that the running mean of the weights keeps each step; the mean is what comes out.
        every: steps between validations, each with a checkpoint and a point of the curve.
        patience: validations without a better one after which it ends.
        minutes: after which it ends; None for no limit.
    """

    steps: int = 2000
    rate: float = 2e-4
    decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.99
    every: int = 100
    patience: int = 10
    minutes: float | None = None


@dataclass
class State:
    """Where a training stands."""

    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Trained:
    """What came out.

    Args:
        tensors: of the averaged network where it validated best, on the CPU.
        curve: rows of step, training loss and validation loss.
        steps: that were made.
        best_step: of the tensors.
        best: validation loss there.
        minutes: that all steps took.
    """

    tensors: dict[str, Tensor]
    curve: list[dict[str, float]]
    steps: int
    best_step: int
    best: float
    minutes: float


def train(
    network: nn.Module,
    loss: Loss,
    batches: Any,
    validation: Sequence[Tensor],
    folder: Path,
    schedule: Schedule,
    *,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    validated: Callable[[], object] | None = None,
    origin: str = "",
    settled: bool = False,
) -> Trained:
    """Train a network until its steps, its minutes or its patience are spent.

    Args:
        network: what learns; it is moved to the device.
        loss: of a batch.
        batches: called for a batch; its `generator` is the source of all chance, kept in the checkpoint.
        validation: fixed batches of patients that are not trained on.
        folder: for the checkpoint and the curve; if it holds a checkpoint, training goes on from there.
        schedule: how long, how fast, how often.
        device: where to.
        progress: called with (fraction, message); raise `Cancelled` in it to stop: the last checkpoint stays.
        validated: called after every point of the curve.
        origin: names what the training begins with; a checkpoint of another origin is refused.
        settled: normalization keeps the running numbers that it has.

    Raises:
        FileError: if the folder holds the checkpoint of another network, schedule or origin.
        RunError: if the loss is no number any more.
        SaveError: if a checkpoint cannot be written; the last one stands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network.to(device)
    run = _Run(network, schedule, folder, device, origin, settled)
    if (folder / CHECKPOINT).is_file():
        run.load(batches.generator)
    begin = perf_counter() - run.state.seconds
    recent: list[float] = []
    while run.state.step < schedule.steps and not run.is_spent():
        value = run.step(loss, batches().to(device))
        recent.append(value)
        run.state.step += 1
        run.state.seconds = perf_counter() - begin
        if progress:
            progress(run.state.step / schedule.steps, f"Step {run.state.step}, loss {value:.4f}")
        if run.state.step % schedule.every == 0 or run.state.step == schedule.steps or run.is_late():
            run.validate(loss, validation, sum(recent) / len(recent))
            recent = []
            run.save(batches.generator)
            if validated:
                validated()
    state = run.state
    if not run.best:
        raise RunError("Training", found="no validation with a finite loss", fix="Lower the learning rate")
    return Trained(run.best, run.curve, state.step, state.best_step, state.best, state.seconds / 60)


class _Run:
    """The parts that a checkpoint keeps."""

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule,
        folder: Path,
        device: torch.device | str,
        origin: str,
        settled: bool,
    ):
        self.network, self.schedule, self.folder, self.origin, self.settled = network, schedule, folder, origin, settled
        self.device = torch.device(device)
        self.averaged = torch.optim.swa_utils.AveragedModel(
            network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(schedule.average), use_buffers=True
        )
        learned = [each for each in network.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(learned, lr=schedule.rate, weight_decay=schedule.decay)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimizer, schedule.steps, eta_min=schedule.rate / 100
        )
        self.state, self.curve = State(), list[dict[str, float]]()
        self.best: dict[str, Tensor] = {}

    def is_spent(self) -> bool:
        """Whether patience or minutes are."""
        waited = self.state.step - self.state.best_step
        return self.is_late() or waited > self.schedule.patience * self.schedule.every

    def is_late(self) -> bool:
        """Whether the minutes are spent."""
        return self.schedule.minutes is not None and self.state.seconds > 60 * self.schedule.minutes

    def step(self, loss: Loss, batch: Tensor) -> float:
        """One step of the optimizer; the loss."""
        self.network.train()
        if self.settled:
            for layer in self.network.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        mixed = torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()
        with mixed:
            value = loss(self.network, batch)
        if not torch.isfinite(value):
            raise RunError(
                f"Training, step {self.state.step + 1}",
                found=f"loss {value.item()}",
                fix=f"Lower the learning rate; the last checkpoint is in {self.folder}",
            )
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip)
        self.optimizer.step()
        self.scheduler.step()
        self.averaged.update_parameters(self.network)
        return value.item()

    @torch.no_grad()
    def validate(self, loss: Loss, batches: Sequence[Tensor], trained: float) -> None:
        """Score the averaged network and keep it if it is the best."""
        network = self.averaged.module.eval()
        value = sum(loss(network, batch.to(self.device)).item() for batch in batches) / len(batches)
        if value < self.state.best:
            self.state.best, self.state.best_step = value, self.state.step
            self.best = {name: each.detach().cpu().clone() for name, each in network.state_dict().items()}
        self.curve.append({"step": self.state.step, "training": trained, "validation": value})
        with writing_beside(self.folder / CURVE) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ("step", "training", "validation"), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.curve)

    def save(self, generator: torch.Generator) -> None:
        """Write the checkpoint beside the last one, then in its place."""
        parts = {
            "schedule": _fixed(self.schedule),
            "origin": self.origin,
            "state": asdict(self.state),
            "curve": self.curve,
            "best": self.best,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "chance": {"torch": torch.get_rng_state(), "batches": generator.get_state()},
        }
        with writing_beside(self.folder / CHECKPOINT) as draft:
            try:
                torch.save(parts, draft)
            except RuntimeError as error:
                # What torch makes of a full disk.
                raise OSError(str(error)) from error

    def load(self, generator: torch.Generator) -> None:
        """Go on from the checkpoint."""
        path = self.folder / CHECKPOINT
        try:
            parts = torch.load(path, map_location="cpu", weights_only=True)
            if parts["schedule"] != _fixed(self.schedule):
                raise KeyError(f"schedule {parts['schedule']}")
            if parts["origin"] != self.origin:
                raise KeyError("another origin: other weights, data, features or consolidation before it")
            for name in ("network", "averaged", "optimizer", "scheduler"):
                getattr(self, name).load_state_dict(parts[name])
        except Exception as error:
            raise FileError(
                f"Checkpoint {path}",
                found=f"{type(error).__name__}: {error}",
                accepted="one of the same network and schedule",
                fix="Take another folder, or delete the checkpoint to begin anew",
            ) from error
        self.state, self.curve, self.best = State(**parts["state"]), parts["curve"], parts["best"]
        torch.set_rng_state(parts["chance"]["torch"])
        generator.set_state(parts["chance"]["batches"])


def _fixed(schedule: Schedule) -> dict[str, Any]:
    """What of a schedule must not change between a checkpoint and its resumption."""
    return {name: value for name, value in asdict(schedule).items() if name not in ("minutes", "patience")}
