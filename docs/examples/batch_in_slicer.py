"""Fuse every case of a table inside Slicer, without its window.

    Slicer --no-splash --no-main-window --python-script batch_in_slicer.py cases.csv results --method laplacian

The table has a column `name`, then one column for each modality, the anatomical first; files are relative to it:

    name,CT,PET
    case1,case1/ct.nrrd,case1/pet.nrrd

A case that fails is logged, and the others go on; Slicer then ends with status 1.
"""

import argparse
import csv
import logging
import sys
from pathlib import Path

import slicer


def fuse_files(files, modalities, output, **choices):
    """Fuse volume files into one file; the scene is empty afterwards.

    Args:
        files: paths that Slicer can load, the anatomical volume first.
        modalities: one for each file.
        output: path of the result; the extension (.nrrd, .nii.gz) chooses the format.
        choices: for MedFusionLogic.fuse, such as method="laplacian" or color="pet-heat".
    """
    from MedFusion import MedFusionLogic

    try:
        nodes = [slicer.util.loadVolume(str(file)) for file in files]
        fused = MedFusionLogic().fuse(nodes, modalities=modalities, **choices)
        if not slicer.util.saveNode(fused, str(output)):
            raise OSError(f"{output} could not be written")
    finally:
        slicer.mrmlScene.Clear()


def fuse_table(table, folder, **choices):
    """Fuse each case of a table into FOLDER/<name>.nrrd; returns the names of those that failed."""
    from MedFusionLib.errors import MedFusionError

    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    with table.open(newline="", encoding="utf-8") as lines:
        for case in csv.DictReader(lines):
            name = case.pop("name")
            files = {modality: table.parent / file for modality, file in case.items() if file}
            try:
                fuse_files(list(files.values()), list(files), folder / f"{name}.nrrd", **choices)
            except (MedFusionError, RuntimeError, OSError) as error:
                logging.error("%s: %s", name, error)
                failed.append(name)
    return failed


def main(arguments):
    """The exit status: 0 if every case was fused, else 1."""
    parser = argparse.ArgumentParser(description="Fuse every case of a table.")
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--method", default="laplacian")
    parser.add_argument("--color", default="auto")
    chosen = parser.parse_args(arguments)
    return 1 if fuse_table(chosen.table, chosen.folder, method=chosen.method, color=chosen.color) else 0


if __name__ == "__main__":
    slicer.util.exit(main(sys.argv[1:]))
