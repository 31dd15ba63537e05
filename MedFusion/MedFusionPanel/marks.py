"""Copies of label maps and segmentations: where to score, and what marks a lesion or organ."""


def markedVolume(node, fusedNode):
    """A copy of a mask that is not 0 inside; None for none. Main thread.

    Args:
        node: a label map or other volume node, or a segmentation node, whose visible segments count.
        fusedNode: the result to be scored: a segmentation is drawn on its grid.

    Raises:
        MedFusionLib.errors.DataError: if a segmentation has no visible segment.
    """
    from MedFusionLib.mrml import copy_of_node

    if node is None:
        return None
    if node.IsA("vtkMRMLSegmentationNode"):
        return _drawn(node, fusedNode)
    return copy_of_node(node, "OTHER")


def _drawn(node, fusedNode):
    import slicer

    from MedFusionLib.errors import DataError
    from MedFusionLib.mrml import copy_of_node

    scene = node.GetScene()
    drawn = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", f"{node.GetName()} drawn")
    try:
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.ExportVisibleSegmentsToLabelmapNode(node, drawn, fusedNode)
        if drawn.GetImageData() is None or not drawn.GetImageData().GetNumberOfPoints():
            raise DataError(
                f"Segmentation {node.GetName()}",
                found="no visible segment",
                accepted="one that is shown",
                fix="Show a segment in the module Segmentations, or choose no mask",
            )
        return copy_of_node(drawn, "OTHER")
    finally:
        scene.RemoveNode(drawn.GetDisplayNode())
        scene.RemoveNode(drawn)
