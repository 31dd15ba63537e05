"""Training: patients apart, the same seed the same bits, resumed or not; bad data named; a model that loads again."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from MedFusionLib.cli import main
from MedFusionLib.errors import (
    Cancelled,
    DataError,
    DependencyError,
    FileError,
    ParameterError,
    RunError,
    SaveError,
    UnknownNameError,
)
from MedFusionLib.networks.densefuse import Config, DenseFuse
from MedFusionLib.networks.fusiondn import Config as FusionConfig
from MedFusionLib.training.consolidation import Consolidation
from MedFusionLib.training.curves import draw
from MedFusionLib.training.features import frozen_features
from MedFusionLib.training.loop import CHECKPOINT, Schedule, train
from MedFusionLib.training.losses import measured, ms_ssim, perceptual, squared, ssim, surround
from MedFusionLib.training.pairs import load_split
from MedFusionLib.training.patches import Augmentation, Patches, augmented
from MedFusionLib.training.precision import halved
from MedFusionLib.training.recipe import recipes
from MedFusionLib.training.recipes.densefuse import loss
from MedFusionLib.training.remake import remake
from MedFusionLib.weights import find_model

SMALL = Config(width=4, layers=2)
QUICK = Schedule(steps=6, rate=1e-3, every=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two sets of pictures of three patients each; ids 90 and above are for testing."""
    root = tmp_path_factory.mktemp("data")
    ids = [f"{patient}{number}" for patient in (1, 2, 3, 9) for number in range(3)]
    pick, splits = np.random.default_rng(0), {}
    for name in ("CT-MRI", "PET-MRI"):
        for modality in name.split("-"):
            folder = root / name / modality
            folder.mkdir(parents=True)
            for each in ids:
                picture = np.zeros((72, 80), np.uint8)
                picture[8:64, 8:72] = pick.integers(40, 255, (56, 64))
                Image.fromarray(picture).save(folder / f"{each}.png")
        train, test = ([each for each in ids if (each[0] == "9") is wanted] for wanted in (False, True))
        splits[name] = {"train": train, "test": test, "case": {each: each[0] for each in ids}}
    (root / "splits.json").write_text(json.dumps(splits), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def split(data):
    return load_split(data)


def patches(split, seed=0):
    return Patches(split.train, 32, 2, seed)


def trained(split, folder, schedule=QUICK, progress=None):
    torch.manual_seed(0)
    validation = [Patches(split.validation, 32, 2, 1)()]
    return train(DenseFuse(SMALL), loss, patches(split), validation, folder, schedule, progress=progress)


def test_no_patient_is_in_two_parts_and_test_ids_are_never_read(split):
    for ours, theirs in zip(split.train, split.validation, strict=True):
        assert ours.group == theirs.group
        assert not set(ours.patients) & set(theirs.patients)
        assert set(ours.patients) | set(theirs.patients) == {"1", "2", "3"}
        assert len(ours.images) + len(theirs.images) == 9


def test_a_file_that_cannot_be_read_is_named_left_out_and_counted(data, tmp_path, caplog):
    import shutil

    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    (copy / "CT-MRI" / "CT" / "11.png").write_bytes(b"\x89PNG no picture")
    split = load_split(copy)
    assert split.skipped == 1
    assert "11" in caplog.text
    assert sum(len(part.images) for part in (split.train[0], split.validation[0])) == 8


def test_data_that_cannot_teach_is_told(data, tmp_path):
    with pytest.raises(FileError, match="no case"):
        load_split(tmp_path)
    with pytest.raises(FileError, match="no such folder"):
        load_split(tmp_path / "nowhere")
    with pytest.raises(FileError, match="no SPECT-MRI"):
        load_split(data, ["SPECT-MRI"])
    (tmp_path / "CT-MRI" / "CT").mkdir(parents=True)
    Image.fromarray(np.eye(72, dtype=np.uint8) * 255).save(tmp_path / "CT-MRI" / "CT" / "1.png")
    with pytest.raises(FileError, match="two modalities"):
        load_split(tmp_path)
    (tmp_path / "CT-MRI" / "MRI").mkdir()
    Image.fromarray(np.eye(72, dtype=np.uint8) * 200).save(tmp_path / "CT-MRI" / "MRI" / "1.png")
    with pytest.raises(DataError, match="two or more"):
        load_split(tmp_path)


def test_the_same_seed_gives_the_same_patches_in_range(split):
    first, second, other = patches(split)(), patches(split)(), patches(split, seed=1)()
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.shape == (2, 2, 32, 32)
    assert first.min() >= 0
    assert first.max() <= 1


def test_geometry_is_shared_by_the_sources_and_shading_is_not():
    image = torch.rand((4, 1, 32, 32), generator=torch.Generator().manual_seed(0)).repeat(1, 2, 1, 1)
    turned = augmented(image, Augmentation(gamma=1.0, noise=0.0), torch.Generator().manual_seed(0))
    assert torch.equal(turned[:, 0], turned[:, 1])
    assert not torch.allclose(turned, image, atol=0.05)
    shaded = augmented(image, Augmentation(degrees=0, scale=1.0, noise=0.0), torch.Generator().manual_seed(0))
    assert not torch.allclose(shaded[:, 0], shaded[:, 1], atol=0.01)


def test_losses_agree_with_the_metrics_and_are_zero_for_identical_images():
    from MedFusionLib.registry import find_metric

    generator = torch.Generator().manual_seed(0)
    fused, sources = torch.rand((2, 1, 40, 40), generator=generator), torch.rand((2, 3, 40, 40), generator=generator)
    metric = find_metric("ssim").function(255 * fused, 255 * sources)
    torch.testing.assert_close(ssim(fused, sources), metric, atol=1e-4, rtol=0)
    same = fused.expand(-1, 3, -1, -1)
    assert squared(fused, same).abs().max() == 0
    torch.testing.assert_close(ssim(fused, same), torch.ones(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(ms_ssim(fused, same, scales=2), torch.ones(2, 3), atol=1e-5, rtol=0)


def test_training_learns_and_a_second_run_gives_the_same_bits(split, tmp_path):
    first = trained(split, tmp_path / "a", Schedule(steps=30, rate=3e-3, every=5, average=0.5))
    assert first.best < 0.8 * first.curve[0]["validation"]
    second = trained(split, tmp_path / "b", Schedule(steps=30, rate=3e-3, every=5, average=0.5))
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(split, tmp_path):
    whole = trained(split, tmp_path / "whole")

    def stop(fraction, message):
        # Behind the checkpoint of step 4: what came after it is made again.
        if fraction > 4.5 / 6:
            raise Cancelled(message)

    with pytest.raises(Cancelled):
        trained(split, tmp_path / "parts", progress=stop)
    resumed = trained(split, tmp_path / "parts")
    assert resumed.steps == whole.steps
    assert [row["validation"] for row in resumed.curve] == [row["validation"] for row in whole.curve]
    assert all(torch.equal(whole.tensors[name], resumed.tensors[name]) for name in whole.tensors)


def test_a_foreign_checkpoint_is_told(split, tmp_path):
    trained(split, tmp_path)
    with pytest.raises(FileError, match="same network and schedule"):
        trained(split, tmp_path, Schedule(steps=7, rate=1e-3, every=2))
    (tmp_path / CHECKPOINT).write_bytes(b"truncated")
    with pytest.raises(FileError, match="Checkpoint"):
        trained(split, tmp_path)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("write failed")])
def test_a_full_disk_leaves_the_last_checkpoint(split, tmp_path, monkeypatch, error):
    trained(split, tmp_path, Schedule(steps=6, rate=1e-3, every=2, minutes=0))
    before = (tmp_path / CHECKPOINT).read_bytes()

    def full(*args, **others):
        raise error

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(SaveError, match="Save"):
        trained(split, tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_loss_that_is_no_number_stops_the_training(split, tmp_path):
    with pytest.raises(RunError, match="loss nan"):
        train(DenseFuse(SMALL), lambda net, batch: loss(net, batch) * torch.nan, patches(split), [], tmp_path, QUICK)


def test_training_ends_when_nothing_gets_better(split, tmp_path):
    torch.manual_seed(0)
    network = DenseFuse(SMALL)
    schedule = Schedule(steps=100, rate=0.0, every=1, patience=3)
    ended = train(network, loss, patches(split), [Patches(split.validation, 32, 2, 1)()], tmp_path, schedule)
    assert ended.steps == 5


def test_answers_are_turned_with_the_sources_and_neither_shaded_nor_exchanged(split):
    answered = [replace(part, answers=tuple(image[:1] for image in part.images)) for part in split.train]
    batches = Patches(answered, 32, 4, 0, Augmentation(noise=0.0, gamma=1.0, swap=False))
    plain = batches()
    assert plain.shape == (4, 3, 32, 32)
    torch.testing.assert_close(plain[:, 0], plain[:, 2])
    shaded = Patches(answered, 32, 4, 0, Augmentation(noise=0.1, swap=True))()
    torch.testing.assert_close(shaded[:, 2:], plain[:, 2:])
    assert not torch.allclose(shaded[:, 0], plain[:, 0], atol=0.01)


def test_the_best_classical_result_is_one_of_the_teachers(split):
    from MedFusionLib.registry import find_method
    from MedFusionLib.training.recipes.supervised_cnn import TEACHERS, best_classical

    image = split.train[0].images[0]
    answer = best_classical(image, ("CT", "MR"))
    shown = image.float().amax(0) > 0.2
    closest = min(
        (find_method(name).function(image.float()[None]).clamp(0, 1)[0] - answer)[:, shown].abs().max().item()
        for name in TEACHERS
    )
    assert closest < 1e-5


def mean_loss(network, batches):
    with torch.no_grad():
        return sum(loss(network, batch).item() for batch in batches) / len(batches)


def negative(network, batch):
    """A task that contradicts the first: the same slices, bright where they are dark."""
    images = batch.flatten(0, 1)[:, None]
    return (network(images) - (1 - images)).square().mean()


@pytest.fixture(scope="module")
def sequence(split, tmp_path_factory):
    """Losses on slices by strength, before and after their negatives were learned."""
    first, check = patches(split), [patches(split, seed)() for seed in range(5, 9)]
    schedule = Schedule(steps=60, rate=3e-3, every=60, average=0.5)
    ends = {}
    for strength in (0.0, 8e4):
        torch.manual_seed(0)
        network, held = DenseFuse(SMALL), Consolidation(strength)
        learned = train(network, loss, first, [first()], tmp_path_factory.mktemp("first"), schedule)
        network.load_state_dict(learned.tensors)
        before = mean_loss(network, check)
        held.remember(network, loss, first)
        assert held.penalty(network) == 0

        def task(network, batch, held=held):
            return negative(network, batch) + held.penalty(network)

        learned = train(network, task, first, [first()], tmp_path_factory.mktemp("second"), schedule)
        network.load_state_dict(learned.tensors)
        ends[strength] = (before, mean_loss(network, check))
    return ends


def test_consolidation_keeps_what_plain_training_forgets(sequence):
    before, forgotten = sequence[0.0]
    assert forgotten > 1.2 * before
    before, kept = sequence[8e4]
    assert kept < 1.05 * before


def test_further_tasks_leave_normalization_as_it_is(split, tmp_path):
    recipe = recipes()["fusiondn"]
    torch.manual_seed(0)
    network = recipe.build(FusionConfig(width=4, steps=1, decoder=(4,)))
    before = {name: each.clone() for name, each in network.state_dict().items()}
    still, task = Schedule(steps=2, rate=0.0, every=2), lambda network, batch: network(batch).mean()
    for settled in (False, True):
        out = tmp_path / str(settled)
        tensors = train(network, task, patches(split), [patches(split)()], out, still, settled=settled).tensors
        moved = any(not torch.equal(tensors[name], before[name]) for name in before if "running" in name)
        assert moved is not settled
        network.load_state_dict(before)


def test_a_checkpoint_of_other_tasks_is_refused(data, tmp_path):
    recipe = replace(recipes()["stacked_autoencoder"], schedule=Schedule(steps=2, every=1), batch=1, patch=48)
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for number, folder in enumerate((first, second, third)):
        shutil.copytree(data / ("PET-MRI" if number == 2 else "CT-MRI"), folder)
    remake(recipe, first, tmp_path / "out", then=[second])
    with pytest.raises(FileError, match="another origin"):
        remake(recipe, first, tmp_path / "out", then=[third])
    with pytest.raises(FileError, match="another origin"):
        remake(recipe, first, tmp_path / "out", then=[second], consolidation=3.0)
    other = find_model(tmp_path / "out")
    with pytest.raises(FileError, match="another origin"):
        remake(recipe, first, tmp_path / "out", start=other.folder)


def test_choices_and_sets_that_cannot_be_learned_from_are_refused(data, tmp_path):
    recipe = recipes()["stacked_autoencoder"]
    for strength in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="Consolidation"):
            remake(recipe, data, tmp_path, consolidation=strength)
    with pytest.raises(ParameterError, match="vgg16"):
        remake(recipe, data, tmp_path, features="resnet")
    for modality in ("CT", "MRI", "PET"):
        shutil.copytree(data / "CT-MRI" / "CT", tmp_path / "three" / "SET" / modality)
    with pytest.raises(DataError, match="2 sources"):
        remake(recipes()["supervised_cnn"], tmp_path / "three", tmp_path / "out")


def test_folders_of_any_names_are_sets_of_further_tasks_only(data, tmp_path):
    for name in ("far", "near"):
        shutil.copytree(data / "CT-MRI" / "CT", tmp_path / "focus" / name)
    with pytest.raises(FileError, match="no case"):
        load_split(tmp_path / "focus")
    split = load_split(tmp_path / "focus", any_names=True)
    assert split.train[0].modalities == ("OTHER", "OTHER")


def test_losses_keep_their_digits_in_half_precision():
    images = torch.rand((2, 1, 40, 40), generator=torch.Generator().manual_seed(0))
    halved = images.bfloat16()
    exact = halved.float()
    for loss_of in (ssim, squared, lambda fused, sources: surround(fused) - surround(sources)):
        torch.testing.assert_close(loss_of(halved, images), loss_of(exact, images))


@pytest.mark.parametrize("metric", ["qabf", "vifp", "ssim"])
def test_a_metric_is_a_loss(metric):
    generator = torch.Generator().manual_seed(0)
    sources = torch.rand((2, 2, 64, 64), generator=generator)
    fused = sources.mean(1, keepdim=True).requires_grad_()
    measured(metric, fused, sources).sum().backward()
    better = (fused - 1e-3 * fused.grad / fused.grad.abs().max()).clamp(0, 1).detach()
    assert measured(metric, better, sources).sum() < measured(metric, fused, sources).sum()


def test_a_metric_that_cannot_lead_is_no_loss():
    fused, sources = torch.rand(1, 1, 32, 32), torch.rand(1, 2, 32, 32)
    for metric in ("mi", "rmse", "cnr"):
        with pytest.raises(ParameterError, match="Metric as a loss"):
            measured(metric, fused, sources)


def test_features_are_ours_unless_the_machine_has_others(tmp_path, monkeypatch):
    stages = frozen_features()(torch.rand(2, 1, 64, 48))
    assert [stage.shape[2:] for stage in stages] == [(64, 48), (32, 24), (16, 12), (8, 6), (4, 3)]
    fused = torch.rand(2, 1, 64, 64)
    assert perceptual(frozen_features(), fused, fused.expand(-1, 2, -1, -1)).abs().max() < 1e-6
    with pytest.raises(UnknownNameError, match="vgg16"):
        frozen_features("resnet")


def test_vgg_is_taken_from_the_machine_and_never_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileError, match="VGG16"):
        frozen_features("vgg16")
    file = tmp_path / "checkpoints" / "vgg16-397923af.pth"
    file.parent.mkdir()
    # Numbers and channels of its convolutions, as torchvision's file names them.
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    widths = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
    tensors = {"classifier.0.bias": torch.zeros(1)}
    for number, inside, outside in zip(numbers, widths[:-1], widths[1:], strict=True):
        tensors[f"features.{number}.weight"] = torch.full((outside, inside, 3, 3), 0.01)
        tensors[f"features.{number}.bias"] = torch.zeros(outside)
    torch.save(tensors, file)
    stages = frozen_features("vgg16")(torch.rand(1, 1, 64, 48))
    assert [stage.shape[1:] for stage in stages] == [
        (64, 64, 48),
        (128, 32, 24),
        (256, 16, 12),
        (512, 8, 6),
        (512, 4, 3),
    ]
    torch.save({name: each for name, each in tensors.items() if "28" not in name}, file)
    with pytest.raises(FileError, match="torchvision's weights"):
        frozen_features("vgg16")


def test_weights_are_halved_only_if_no_score_moves(split, monkeypatch):
    recipe, model = recipes()["densefuse"], find_model("densefuse")
    network = DenseFuse(Config(**model.card["config"])).eval()
    # Shipped weights are halved; a ten thousandth more takes them off the numbers that half precision has.
    network.load_state_dict({name: 1.0001 * each.float() for name, each in model.weights().items()})
    tensors, change = halved(recipe, network, split)
    assert all(each.dtype == torch.float16 for each in tensors.values())
    assert 0 < change["largest change of a panel score by half precision"] <= 0.002
    monkeypatch.setattr("MedFusionLib.training.precision.MOST", 0.0)
    tensors, _ = halved(recipe, network, split)
    assert all(each.dtype == torch.float32 for each in tensors.values())


def test_the_picture_of_the_losses_needs_matplotlib_and_training_does_not(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    line = f"train stacked_autoencoder --data {data} -o {tmp_path} --minutes 0 --device cpu --quiet"
    assert main(line.split()) == 0
    assert (tmp_path / "curve.csv").is_file()
    assert not (tmp_path / "curve.png").exists()
    with pytest.raises(DependencyError, match="matplotlib"):
        draw([tmp_path], tmp_path / "curve.png")


def test_tasks_in_turn_make_one_model_that_tells_of_each(data, tmp_path):
    out = tmp_path / "model"
    told = f"--then {data / 'CT-MRI'} --consolidation 5 --minutes 0 --device cpu --quiet"
    assert main(f"train stacked_autoencoder --data {data} -o {out} {told}".split()) == 0
    card = find_model(out).card
    assert [end["task"] for end in card["measured"]["loss at the end"]] == [data.name, "CT-MRI"]
    assert card["consolidation"] == 5
    assert [task["what"] for task in card["then"]]
    assert card["recipe"].endswith("--then CT-MRI --consolidation 5")
    assert (out / "then-1" / "curve.csv").is_file()


def test_the_command_makes_a_model_that_loads_again(data, tmp_path, capsys):
    out = tmp_path / "model"
    assert main(f"train densefuse --data {data} -o {out} --minutes 0.01 --device cpu --quiet".split()) == 0
    model = find_model(out)
    network = DenseFuse(Config(**model.card["config"])).eval()
    network.load_state_dict({name: each.float() for name, each in model.weights().items()})
    golden = model.golden()
    with torch.no_grad():
        torch.testing.assert_close(network(golden["sources"][:, :1]), golden["output"])
    assert (out / "curve.png").is_file()
    assert (out / "curve.csv").read_text(encoding="utf-8").startswith("step,training,validation")
    again = f"train densefuse --data {data} -o {tmp_path / 'more'} --minutes 0 --device cpu --quiet --from {out}"
    assert main(again.split()) == 0
    assert find_model(tmp_path / "more").card["started_from"] == str(out)
    assert main(f"train nothing --data {data}".split()) == 2
    assert "densefuse" in capsys.readouterr().err
