"""A tab's work without a browser: reading, fusing, registering, scoring, comparing, saving."""

from __future__ import annotations

import numpy as np
import pytest

from MedFusionLib.errors import InputError, ModalityError
from MedFusionLib.job import Job
from MedFusionLib.mrml import volume_from_node
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse
from MedFusionLib.web.session import CHOSEN, GUESS, PHANTOM, Choices, Read, Session

SHAPE = (16, 28, 24)


@pytest.fixture
def session(scene):
    session = Session(scene)
    session.add([Read(head_phantom(name, shape=SHAPE), None, PHANTOM) for name in ("MR", "PET")])
    return session


def choices(session, **more):
    names = tuple(session.sources)
    return Choices(names, more.pop("reference", names[0]), **more)


def done(compute):
    return Job(compute).result()


def fused(session, **more):
    chosen = choices(session, **more)
    return session.add_result(chosen, *done(session.fusing(chosen)))


def test_files_are_read_with_a_guessed_modality_that_is_marked_as_such(scene, heads):
    session = Session(scene)
    added = session.add(done(session.reading(heads)))
    assert [(source.modality, source.origin) for source in added] == [("MR", GUESS), ("PET", GUESS)]
    assert [source.node.GetName() for source in added] == ["patient_MR_T1", "patient_PET"]


def test_dicom_tells_its_modality_and_keeps_it(scene, shared_data):
    session = Session(scene)
    [source] = session.add(done(session.reading([shared_data / "volumes/dicom/STS_051/CT"])))
    assert (source.modality, source.origin, source.unit) == ("CT", "DICOM", "HU")
    with pytest.raises(ModalityError, match="MR"):
        done(session.rereading(source.node.GetID(), "MR"))


def test_a_modality_can_be_mended_and_the_node_stays(scene, heads):
    session = Session(scene)
    [source] = session.add(done(session.reading(heads[:1])))
    name = source.node.GetID()
    session.replace(name, done(session.rereading(name, "OTHER")))
    assert (source.modality, source.origin) == ("OTHER", CHOSEN)
    assert list(session.sources) == [name]
    assert volume_from_node(source.node).modality == "OTHER"


def test_a_run_gives_the_same_voxels_as_the_library(session):
    result = fused(session, method="dwt", parameters={"levels": 2}, color="pet-heat")
    volumes = [copied.volume() for copied in session.copies(choices(session))]
    expected = fuse(volumes, method="dwt", parameters={"levels": 2}, color="pet-heat")
    np.testing.assert_array_equal(volume_from_node(result.node, "OTHER").array, expected.color.array)


def test_a_run_leaves_the_sources_as_they_were(session):
    before = [copied.volume().sha256 for copied in session.copies(choices(session))]
    fused(session)
    assert [copied.volume().sha256 for copied in session.copies(choices(session))] == before


def test_registered_sources_are_shown_in_place_and_fused_from_where_they_lay(scene):
    session = Session(scene)
    moved = head_phantom("PET", shape=SHAPE, offset=(0, 0, 4, 5, 0, 0))
    session.add([Read(head_phantom("MR", shape=SHAPE), None, PHANTOM), Read(moved, None, PHANTOM)])
    first = fused(session, register="rigid")
    assert first.fused.poses[1] is not None
    node = session.sources[list(session.sources)[1]].node
    assert node.GetParentTransformNode() is not None
    assert session.copies(choices(session))[1].volume().sha256 == moved.sha256
    again = fused(session, register="rigid", method="average")
    assert again.aligned is first.aligned, "the next method does not register again"
    assert scene.GetNumberOfNodesByClass("vtkMRMLLinearTransformNode") == 1
    fused(session, register="none")
    assert node.GetParentTransformNode() is None


def test_a_canceled_run_leaves_the_scene_as_it_was(session, scene):
    from MedFusionLib.errors import Cancelled

    before = scene.GetNumberOfNodes()

    def cancel(fraction, message):
        raise Cancelled(message)

    with pytest.raises(Cancelled):
        session.fusing(choices(session))(progress=cancel)
    assert scene.GetNumberOfNodes() == before
    assert not session.results


def test_a_parameter_out_of_bounds_is_refused(session):
    with pytest.raises(InputError, match="levels"):
        done(session.fusing(choices(session, parameters={"levels": 99})))


def test_scores_stand_in_the_scene_and_with_the_result(session, scene):
    result = fused(session)
    name = result.node.GetID()
    session.add_scores(name, done(session.scoring(name)))
    assert result.evaluation["qabf"].value > 0
    assert result.table.GetNumberOfRows() == len(result.evaluation.scores)


def test_the_saved_scene_holds_everything_and_the_live_one_no_old_charts(session, scene, tmp_path):
    import zipfile

    result = fused(session)
    name = result.node.GetID()
    session.add_scores(name, done(session.scoring(name)))
    path = session.save_scene(tmp_path / "scene.mrb")
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1
    with zipfile.ZipFile(path) as packed:
        names = packed.namelist()
        text = packed.read(next(each for each in names if each.endswith(".mrml"))).decode()
    assert sum(each.endswith(".nrrd") for each in names) == 3
    assert "PlotChart" in text
    assert "MedFusion.Story" in text


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd"])
def test_a_result_is_saved_as_a_file_that_loads(session, tmp_path, ending):
    from MedFusionLib.load import load_volume

    result = fused(session)
    path = session.save_result(result.node.GetID(), tmp_path / f"fused.{ending}")
    np.testing.assert_allclose(load_volume(path, "OTHER").array, result.fused.volume.array, atol=1e-6)


def test_sources_are_compared_on_one_grid_once_they_are_aligned(session):
    chosen = choices(session)
    first, second = chosen.sources
    assert session.comparable(first, second, chosen) is None
    session.keep(chosen, done(session.aligning(chosen)))
    pair = session.comparable(second, first, chosen)
    assert [volume.modality for volume in pair] == ["PET", "MR"]
    assert pair[0].grid.same_as(pair[1].grid)


def test_a_result_is_compared_with_what_it_was_made_of(session):
    chosen = choices(session)
    result = fused(session)
    pair = session.comparable(result.node.GetID(), chosen.sources[1], choices(session, color="hot"))
    assert pair[0] is result.fused.volume
    assert pair[1].modality == "PET"


def test_a_volume_is_not_compared_with_itself(session):
    chosen = choices(session)
    session.keep(chosen, done(session.aligning(chosen)))
    with pytest.raises(InputError, match="shares no grid"):
        session.comparable(chosen.sources[0], chosen.sources[0], chosen)


def test_a_removed_source_is_gone_and_its_results_stay(session, scene):
    result = fused(session)
    name = next(iter(session.sources))
    session.remove(name)
    assert scene.GetNodeByID(name) is None
    assert result.node.GetID() in session.results
