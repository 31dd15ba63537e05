"""Tables in a scene: `mrml` and `mrml_results` put scores into them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def filled_table(
    scene: Any, name: str, node: Any, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], text: Sequence[str]
) -> Any:
    """A table node with these columns, numbers but for those that are text; what a row lacks is NaN or empty.

    Args:
        scene: the scene to add to.
        name: of a new node.
        node: an existing vtkMRMLTableNode to fill instead, or None.
        columns: their names, from left to right.
        rows: from top to bottom.
        text: which columns hold text.
    """
    from vtk import vtkDoubleArray, vtkStringArray

    node = node or scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(name))
    modified = node.StartModify()
    node.RemoveAllColumns()
    for column in columns:
        array = vtkStringArray() if column in text else vtkDoubleArray()
        array.SetName(column)
        for row in rows:
            array.InsertNextValue(row.get(column, "" if column in text else math.nan))
        node.AddColumn(array)
    node.SetUseColumnNameAsColumnHeader(True)
    node.EndModify(modified)
    return node
