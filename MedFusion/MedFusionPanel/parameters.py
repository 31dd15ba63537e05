"""What the panel keeps with the scene."""

import json
from typing import Union

from slicer import (
    vtkMRMLLabelMapVolumeNode,
    vtkMRMLMarkupsROINode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTransformNode,
    vtkMRMLVectorVolumeNode,
)
from slicer.parameterNodeWrapper import parameterNodeWrapper

from MedFusionPanel import AUTOMATIC

# The wrapper reads Union only, and takes no node for a value only where None is named.
VolumeNode = Union[vtkMRMLScalarVolumeNode, vtkMRMLVectorVolumeNode, None]  # noqa: UP007
MaskNode = Union[vtkMRMLLabelMapVolumeNode, vtkMRMLSegmentationNode, None]  # noqa: UP007
TransformNode = Union[vtkMRMLTransformNode, None]  # noqa: UP007
RegionNode = Union[vtkMRMLMarkupsROINode, None]  # noqa: UP007

BY_TRANSFORMS = "transforms"
"""Registration by transform nodes of the user, one a volume."""


@parameterNodeWrapper
class MedFusionParameterNode:
    """The choices of the panel; widgets name theirs in their property SlicerParameterName.

    The three lists are as long as there are rows of inputs. `settings` is JSON: method -> parameter -> value, of those
    that differ from the default; `compared` is a JSON list of methods.
    """

    volumes: list[VolumeNode]
    modalities: list[str]
    transforms: list[TransformNode]
    reference: int = 0
    region: RegionNode = None
    register: str = "none"
    mask: MaskNode = None
    lesion: MaskNode = None
    method: str = "laplacian"
    settings: str = "{}"
    compared: str = '["average", "laplacian", "guided", "nsct_max"]'
    comparedOn: str = "slice"
    color: str = AUTOMATIC
    device: str = AUTOMATIC
    outputVolume: VolumeNode = None
    livePreview: bool = True


def settingsOf(parameterNode, method):
    """The values that were chosen for the parameters of a method."""
    return json.loads(parameterNode.settings).get(method, {})


def keepSettings(parameterNode, method, values):
    """Keep the values chosen for the parameters of a method, beside those of the others."""
    known = json.loads(parameterNode.settings)
    known[method] = values
    parameterNode.settings = json.dumps({name: chosen for name, chosen in known.items() if chosen})


def rowsOf(parameterNode):
    """(volume, modality, transform) of each row of inputs; None for a node that has left the scene."""
    volumes, transforms = (
        [node if node is not None and node.GetScene() is not None else None for node in nodes]
        for nodes in (parameterNode.volumes, parameterNode.transforms)
    )
    return list(zip(volumes, parameterNode.modalities, transforms, strict=True))


class Chosen:
    """What is chosen, read at once: the nodes of the rows that have one, and what goes with each.

    Args:
        parameterNode: the panel's choices.
        logic: tells the modality of a node.
    """

    def __init__(self, parameterNode, logic):
        rows = rowsOf(parameterNode)
        kept = [number for number, row in enumerate(rows) if row[0] is not None]
        self.nodes = [rows[number][0] for number in kept]
        self.modalities = [logic.modality(*rows[number][:2])[0] for number in kept]
        self.reference = kept.index(parameterNode.reference) if parameterNode.reference in kept else 0
        given = parameterNode.register == BY_TRANSFORMS
        moved = [rows[number][2] if given else None for number in kept]
        self.transforms = [None if n == self.reference else node for n, node in enumerate(moved)]
        self.register = "none" if given else parameterNode.register
        self.region = parameterNode.region
        self.method = parameterNode.method
        self.parameters = settingsOf(parameterNode, parameterNode.method)
        self.color, self.device = parameterNode.color, parameterNode.device
        self.missing = self._missing()

    def _missing(self):
        """What must be chosen before anything can be fused: a sentence, or nothing."""
        from slicer.i18n import tr as _

        if len(self.nodes) < 2:
            return _("Choose two volumes first.")
        if len(set(self.nodes)) < len(self.nodes):
            return _("Choose different volumes: one is chosen twice.")
        for node, modality in zip(self.nodes, self.modalities, strict=True):
            if modality is None:
                return _("Choose the modality of {name}.").format(name=node.GetName())
        return ""
