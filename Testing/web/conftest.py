"""What the browser app's tests share."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest


@pytest.fixture
def scene():
    """An empty scene on slicer-core."""
    pytest.importorskip("slicer", reason="slicer-core is not installed: pip install medfusion[slicer]")
    from MedFusionLib._scene import new_scene

    return new_scene()


@pytest.fixture(scope="session")
def heads(tmp_path_factory) -> list[Path]:
    """A small head as two files whose names tell the modality."""
    from MedFusionLib.phantom import head_phantom
    from MedFusionLib.save import save_volume

    folder = tmp_path_factory.mktemp("heads")
    each = (("MR", "patient_MR_T1.nii.gz"), ("PET", "patient_PET.nrrd"))
    return [save_volume(head_phantom(modality, shape=(24, 40, 32)), folder / name) for modality, name in each]


@pytest.fixture
def archive(tmp_path):
    """A function that packs {name: bytes} into a .zip file."""

    def pack(entries, name="volumes.zip"):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for entry, data in entries.items():
                packed.writestr(entry, data)
        return path

    return pack


@pytest.fixture(scope="session")
def slice_of_dicom():
    """A function that makes the bytes of one DICOM slice."""

    def make(series="1.2.3", number=1, position=0.0):
        from io import BytesIO

        from pydicom.dataset import FileDataset, FileMetaDataset
        from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = f"{series}.{int(position) + 1}"
        facts = {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": f"{series}.{int(position) + 1}",
            "SeriesInstanceUID": series,
            "SeriesNumber": number,
            "Modality": "CT",
            "Rows": 4,
            "Columns": 4,
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "PixelSpacing": [1, 1],
            "SliceThickness": 1,
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [0, 0, position],
            "RescaleIntercept": 0,
            "RescaleSlope": 1,
            "PixelData": bytes(range(32)),
        }
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        for name, value in facts.items():
            setattr(dataset, name, value)
        file = BytesIO()
        dataset.save_as(file, enforce_file_format=True)
        return file.getvalue()

    return make
