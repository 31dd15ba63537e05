"""The sources of a result in alternating cubes, as a volume of its own."""


def planCheckerboard(fusedNode):
    """Copies of a result's sources, and how it saw them. Main thread."""
    from MedFusionLib.mrml import scored_inputs
    from MedFusionLib.mrml_results import recipe_of

    recipe = recipe_of(fusedNode)
    _fused, copies, seen = scored_inputs(fusedNode, recipe.nodes, recipe.modalities)
    return copies, seen | {"reference": recipe.choices.get("reference", 0)}


def makeCheckerboard(inputs, number, progress=None):
    """A checkerboard of the reference and another source of what `planCheckerboard` copied. Any thread."""
    from MedFusionLib.checkerboard import checkerboard
    from MedFusionLib.harmonize import align

    copies, seen = inputs
    aligned = align([copied.volume() for copied in copies], **seen, progress=progress)
    return checkerboard(aligned.volumes[aligned.reference], aligned.volumes[number])
