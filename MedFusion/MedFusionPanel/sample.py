"""Sample data: the synthetic head, made here, so that nothing is downloaded."""

import slicer
from slicer.i18n import tr as _

MODALITIES = ("CT", "MR", "PET")


def makePhantom(progress=None):
    """The head in each modality, as volumes. Any thread."""
    from MedFusionLib.phantom import head_phantom

    volumes = []
    for number, modality in enumerate(MODALITIES):
        if progress:
            progress(number / len(MODALITIES), f"Making the phantom's {modality}")
        volumes.append(head_phantom(modality))
    return volumes


def addPhantom(volumes):
    """Put the head into the scene; returns its nodes. Main thread."""
    from MedFusionLib.mrml import node_from_volume

    return [node_from_volume(slicer.mrmlScene, volume) for volume in volumes]


def registerSampleData():
    """Offer the head in the module Sample Data, if Slicer has it."""
    try:
        import SampleData
    except ImportError:
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="MedFusion",
        sampleName=_("MedFusion head phantom (CT, MR, PET)"),
        **{part: [] for part in ("uris", "fileNames", "nodeNames", "loadFiles", "checksums")},
        customDownloader=lambda source: addPhantom(makePhantom()),
    )
