"""What becomes of a result in a scene: made again from a saved scene, compared, charted."""

from __future__ import annotations

import numpy as np
import pytest

from MedFusionLib.compare import compare
from MedFusionLib.errors import DataError, InputError
from MedFusionLib.harmonize import align
from MedFusionLib.mrml import add_result, add_scores, node_from_volume, volumes_from_nodes
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse
from MedFusionLib.scoring import evaluate

slicer = pytest.importorskip("slicer", reason='slicer-core is not installed: pip install "medfusion[slicer]"')

from MedFusionLib.mrml_results import add_comparison, add_score_chart, recipe_of  # noqa: E402


@pytest.fixture
def volumes():
    return [head_phantom(modality, shape=(6, 40, 36), spacing=(5, 5, 20)) for modality in ("CT", "PET")]


@pytest.fixture
def nodes(scene, volumes):
    return [node_from_volume(scene, volume) for volume in volumes]


def again(node):
    """The result of a node's recipe."""
    recipe = recipe_of(node)
    return fuse(volumes_from_nodes(recipe.nodes, recipe.modalities), **recipe.choices)


@pytest.mark.parametrize("register", ["none", "rigid", "deformable"])
def test_a_result_is_made_again_from_a_saved_scene(scene, nodes, volumes, register, tmp_path):
    import desktop_stand_in

    moved = volumes
    fused = fuse(moved, method="laplacian", parameters={"levels": 2}, color="hot", register=register, device="cpu")
    add_result(scene, fused, nodes, name="Result")
    path = str(tmp_path / "scene.mrb")
    desktop_stand_in.FileIO(scene, tmp_path)
    assert scene.WriteToMRB(path)

    loaded = desktop_stand_in.start()
    desktop_stand_in.FileIO(loaded, tmp_path).open_mrb(path)
    node = loaded.GetFirstNodeByName("Result")
    assert [source.GetName() for source in recipe_of(node).nodes] == [node.GetName() for node in nodes]
    assert list(recipe_of(node).sha256) == [volume.sha256 for volume in volumes]
    np.testing.assert_array_equal(again(node).volume.array, fused.volume.array)


def test_a_recipe_needs_a_story_and_its_sources(scene, nodes, volumes):
    with pytest.raises(DataError, match="no story"):
        recipe_of(nodes[0])
    with pytest.raises(DataError, match="no story"):
        recipe_of(None)
    result = add_result(scene, fuse(volumes), nodes)
    scene.RemoveNode(nodes[1])
    with pytest.raises(InputError, match="1 in the scene"):
        recipe_of(result)


def test_a_comparison_is_a_table_the_best_first(scene, volumes):
    comparison = compare(align(volumes), ["average", "laplacian"], metrics=["qabf", "nmi:hm"])
    table = add_comparison(scene, comparison)
    columns = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    assert columns == ["method", "title", "mean_rank", "seconds", "qabf", "nmi:hm", "note"]
    assert table.GetCellText(0, 0) == comparison.rows()[0]["method"]
    values = [table.GetTable().GetColumnByName("qabf").GetValue(row) for row in range(2)]
    assert values == [row["qabf"] for row in comparison.rows()]


def test_scores_of_several_results_are_bars_side_by_side(scene, nodes, volumes):
    aligned, tables = align(volumes), []
    for method in ("average", "laplacian"):
        scored = evaluate(fuse(volumes, method=method), aligned, ["qabf", "nmi:hm"])
        tables.append(add_scores(scene, scored, f"{method} scores"))
    chart = add_score_chart(scene, tables, "Both")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    for number, (series, table) in enumerate(zip(map(chart.GetNthPlotSeriesNode, range(2)), tables, strict=True)):
        assert series.GetPlotType() == series.PlotTypeBar
        bars = series.GetTableNode().GetTable()
        assert bars.GetColumnByName(series.GetLabelColumnName()).GetValue(0) == "qabf"
        shown = bars.GetColumnByName(series.GetYColumnName()).GetValue(0)
        assert shown == table.GetTable().GetColumnByName("value").GetValue(0), number
    with pytest.raises(DataError, match="share a metric"):
        add_score_chart(scene, tables, metrics=["no such"])
    with pytest.raises(DataError, match="share a metric"):
        add_score_chart(scene, [])
    with pytest.raises(DataError, match="no metrics"):
        add_score_chart(scene, [scene.AddNewNodeByClass("vtkMRMLTableNode")])
