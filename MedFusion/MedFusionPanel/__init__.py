"""The parts of the panel, one a file, and the logic that scripts call; `MedFusion.py` puts them together."""

AUTOMATIC = "auto"
"""What is found out rather than chosen: a modality, a color, a device."""
