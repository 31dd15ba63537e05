"""One file makes one model again: `python -m MedFusionLib.training.recipes.<model> DATA`."""
