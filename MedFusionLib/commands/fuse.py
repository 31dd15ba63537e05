"""`medfusion fuse`: two or more volumes into one."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MedFusionLib.commands._line import (
    loaded,
    numbers,
    one_each,
    print_paths,
    progress_bar,
    takes_transforms,
    takes_windows,
    transforms,
    window,
)
from MedFusionLib.errors import FileError, ParameterError

if TYPE_CHECKING:
    from MedFusionLib.slabs import Progress
    from MedFusionLib.volume import Aligned, Fused, Volume


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="VOLUME", help="NIfTI, NRRD, MetaImage, DICOM folder, PNG, JPEG, TIFF")
    add("-o", "--output", type=Path, required=True, help="the fused volume; its ending says the format")
    add("--modality", nargs="+", metavar="M", help="CT, MR, PET, SPECT or OTHER for each volume (DICOM knows its own)")
    add("--method", default="laplacian", help="see `medfusion methods` (default: laplacian)")
    add("--model", type=Path, metavar="DIR", help="weights for a learned method: what train or import-weights wrote")
    add("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="parameters of the method")
    add(
        "--register",
        default="none",
        metavar="KIND",
        help="align them first: rigid, affine or deformable (default: none)",
    )
    takes_transforms(parser, "where each volume lies already, or with --register where its search begins")
    add("--save-transforms", type=Path, metavar="DIR", help="write the transforms found: .tfm, deformable ones .h5")
    add("--reference", type=int, default=1, metavar="N", help="the volume whose grid is taken, 1 = the first (default)")
    add("--spacing", nargs="+", metavar="MM", help="one or three numbers, or `finest` (default: the reference's)")
    add("--region", nargs=2, metavar="R,A,S", help="fuse only the box between these corners (RAS mm)")
    add("--window", nargs="+", metavar="LOW,HIGH", help="intensity window for each volume, `auto` keeps the default")
    add("--interpolation", help="linear, bspline or nearest (default: bspline for PET and SPECT, linear for the rest)")
    add("--color", default="auto", metavar="TABLE", help="color table for PET/SPECT: hot, pet-heat …; `none` for gray")
    add("--plane", default="auto", help="auto, volume (3-D), axial, coronal, sagittal, or all (these three averaged)")
    add("--device", default="auto", help="auto, cpu, cuda, mps")
    add("--story", type=Path, metavar="JSON", help="write how the result was made")
    add("--montage", type=Path, metavar="PNG", help="write one picture of sources and result")
    add("--report", type=Path, metavar="HTML", help="write one page: pictures, registration, scores, story")
    takes_windows(parser)
    parser.set_defaults(run=_fuse)


def _fuse(options: argparse.Namespace) -> None:
    from MedFusionLib.matching import registration_picture
    from MedFusionLib.pipeline import bring_together, check_choices, fuse_aligned, part
    from MedFusionLib.present import montage, save_png, stacked
    from MedFusionLib.save import save_json, save_text, save_volume

    parameters = _pairs(options.set)
    check_choices(options.method, parameters, options.plane, options.device, options.register, options.model)
    _check_outputs(options)
    modalities = one_each("--modality", options.modality, len(options.inputs))
    poses = transforms(options.transform, len(options.inputs))
    choices = {
        "reference": options.reference - 1,
        "spacing": _spacing(options.spacing),
        "region": options.region and [_corner(text) for text in options.region],
        "windows": [window(text) for text in one_each("--window", options.window, len(options.inputs))],
        "color": options.color,
        "interpolation": options.interpolation,
    }
    with progress_bar(options.quiet) as progress:
        volumes = list(loaded(options.inputs, modalities, progress))
        aligned = bring_together(
            volumes, register=options.register, poses=poses, progress=part(progress, 0.2, 0.6), **choices
        )
        fused = fuse_aligned(
            aligned,
            method=options.method,
            parameters=parameters,
            plane=options.plane,
            model=options.model,
            device=options.device,
            progress=part(progress, 0.6, 0.9 if options.report else 1),
        )
        page = _page(volumes, aligned, fused, options.device, part(progress, 0.9, 1)) if options.report else ""
    written = [save_volume(fused.shown, options.output)]
    if options.save_transforms:
        written += _save_transforms(aligned, options.save_transforms)
    if options.story:
        written.append(save_json(fused.story, options.story))
    if options.report:
        written.append(save_text(page, options.report))
    if options.montage:
        picture = montage(aligned, fused)
        if any(aligned.poses):
            picture = stacked([picture, registration_picture(volumes, aligned)])
        written.append(save_png(picture, options.montage))
    print_paths(written, options.quiet)


def _page(volumes: Sequence[Volume], aligned: Aligned, fused: Fused, device: str, progress: Progress | None) -> str:
    from MedFusionLib.report import report
    from MedFusionLib.scoring import evaluate

    return report(volumes, aligned, fused, evaluate(fused, aligned, device=device, progress=progress))


def _save_transforms(aligned: Aligned, folder: Path) -> list[Path]:
    """Write each volume's pose as NUMBER-NAME.tfm, a deformable one as .h5; a volume that did not move has none."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (volume, pose) in enumerate(zip(aligned.volumes, aligned.poses, strict=True), 1):
        if pose is not None:
            name = re.sub(r"[^\w.-]+", "_", volume.label)
            written.append(folder / f"{number}-{name}{'.h5' if pose.matrix is None else '.tfm'}")
            pose.save(written[-1])
    return written


def _check_outputs(options: argparse.Namespace) -> None:
    """See, before the work, that every output has a place of its own: none is an input or another output."""
    from MedFusionLib.save import check_folder, check_target

    check_target(options.output)
    if options.montage and options.montage.suffix.lower() != ".png":
        raise FileError("--montage", found=str(options.montage), accepted="a name that ends in .png")
    if options.report:
        from MedFusionLib.report import require_report

        require_report()
        if options.report.suffix.lower() not in (".html", ".htm"):
            raise FileError("--report", found=str(options.report), accepted="a name that ends in .html")
    taken = {path.resolve() for path in options.inputs}
    for path in filter(None, (options.output, options.story, options.montage, options.report)):
        if path.resolve() in taken:
            raise FileError(f"Output {path}", found="an input or another output", fix="Choose another name")
        taken.add(path.resolve())
        check_folder(path)
    if options.save_transforms:
        check_folder(options.save_transforms / "1.tfm")


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise ParameterError("--set", found=repr(text), accepted="NAME=VALUE, for example levels=5")
    pairs = [text.split("=", 1) for text in texts]
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ParameterError("--set", found=f"{twice[0]} twice", accepted="each parameter once")
    return {name: value for name, value in pairs}


def _corner(text: str) -> list[float]:
    accepted = "three numbers of RAS mm, such as -40,-60,12.5"
    corner = numbers("--region", text.split(","), accepted)
    if len(corner) != 3:
        raise ParameterError("--region", found=repr(text), accepted=accepted)
    return corner


def _spacing(texts: Sequence[str] | None) -> Any:
    if texts is None or texts == ["finest"]:
        return texts and "finest"
    steps = numbers("--spacing", texts, "one or three numbers of mm, or finest")
    return steps[0] if len(steps) == 1 else steps
