"""A first guess of a volume's modality where its file does not tell: by the words in its name, then by its values.

The library never guesses. The page does, as a start for the person who sees it marked as a guess and can mend it.
"""

from __future__ import annotations

import re

from MedFusionLib.volume import Volume

_WORDS = (
    ("SPECT", ("spect", "nm", "hmpao", "datscan", "dat")),
    ("PET", ("pet", "pt", "suv", "fdg", "psma", "fdopa")),
    ("CT", ("ct", "cta", "cbct", "hu")),
    ("MR", ("mr", "mri", "t1", "t2", "t1w", "t2w", "t1c", "t1ce", "t1gd", "flair", "pd", "dwi", "adc", "swi", "epi")),
)
_AIR = -500
"""Values below this are CT's alone: air is -1000 HU."""


def modality_in(volume: Volume) -> str:
    """CT, MR, PET or SPECT by the name or the values; OTHER if neither tells."""
    words = re.findall(r"[a-z]+\d?[a-z]*", re.sub(r"([a-z])([A-Z])", r"\1 \2", volume.name).lower().replace("_", " "))
    for modality, known in _WORDS:
        if any(word in known for word in words):
            return modality
    return "CT" if not volume.is_color and volume.array.min() < _AIR else "OTHER"
