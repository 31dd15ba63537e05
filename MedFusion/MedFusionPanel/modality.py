"""What a volume was acquired with: chosen, told by its node or DICOM header, or guessed from its name."""

import re

from MedFusionPanel import AUTOMATIC

CHOSEN, TOLD, GUESSED, UNKNOWN = "chosen", "told", "guessed", "unknown"

_WORDS = {
    "CT": ("ct", "cbct"),
    "MR": ("mr", "mri", "t1", "t2", "t1w", "t2w", "flair", "mprage", "dwi", "adc"),
    "PET": ("pet", "pt", "fdg", "suv"),
    "SPECT": ("spect", "nm", "spet", "tc99m"),
}
"""Words of volume names that tell a modality."""


def modalityOf(node, chosen=AUTOMATIC):
    """The modality of a volume node, None if nothing tells it, and how it is known: one of the four above."""
    from MedFusionLib.mrml import MODALITY

    if chosen != AUTOMATIC:
        return chosen, CHOSEN
    told = _standard(node.GetAttribute(MODALITY) or _ofDicom(node))
    if told:
        return told, TOLD
    guess = _inName(node.GetName() or "")
    return guess, GUESSED if guess else UNKNOWN


def _ofDicom(node):
    tree = node.GetScene() and node.GetScene().GetSubjectHierarchyNode()
    item = tree.GetItemByDataNode(node) if tree else 0
    return tree.GetItemAttribute(item, "DICOM.Modality") if item else ""


def _standard(name):
    """Our name of a modality; None if it is none of ours."""
    from MedFusionLib.errors import ModalityError
    from MedFusionLib.volume import modality_named

    try:
        return modality_named(name)
    except ModalityError:
        return None


def _inName(name):
    """The one modality that the words of a name tell; None if there is none, or more than one."""
    words = set(re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))
    found = [modality for modality, known in _WORDS.items() if words & set(known)]
    return found[0] if len(found) == 1 else None
