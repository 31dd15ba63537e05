"""The page's forms and score table are plain data made from the registry and the evaluations."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from MedFusionLib.params import Parameter, Range
from MedFusionLib.registry import list_methods
from MedFusionLib.scores import Evaluation, Score
from MedFusionLib.volume import Grid, Volume
from MedFusionLib.web.forms import _field, defaults_of, fields_of, method_items
from MedFusionLib.web.guess import modality_in
from MedFusionLib.web.scores import score_table


def test_every_method_of_the_registry_is_in_the_menu_once():
    names = [item["value"] for item in method_items() if item.get("type") != "subheader"]
    assert sorted(names) == sorted(list_methods())


@pytest.mark.parametrize("name", list_methods())
def test_the_form_of_a_method_has_its_parameters_and_starts_at_its_defaults(name):
    fields, defaults, method = fields_of(name), defaults_of(name), list_methods()[name]
    assert [field["name"] for field in fields] == list(method.parameters)
    assert method.checked(defaults) == method.checked()
    json.dumps([fields, defaults])
    for field in fields:
        assert field["help"]
        if field["kind"] == "number":
            assert field["low"] <= defaults[field["name"]] <= field["high"]
        if field["kind"] == "choice":
            assert defaults[field["name"]] in field["options"]


def test_a_range_of_many_decades_gets_a_text_field_and_bool_a_switch():
    assert _field(Parameter("eps", float, 1e-6, Range(1e-8, 1), ""))["kind"] == "text"
    assert _field(Parameter("fast", bool, True, None, ""))["kind"] == "switch"


def scored(name, value, direction="up", best=1.0, reason=""):
    return Score(name, name.upper(), value, (), "", direction, best, "volume", reason)


def evaluation(*scores, warnings=()):
    return Evaluation(scores, ("MR", "PET"), tuple(warnings), "the foreground")


def test_the_score_table_marks_the_best_and_draws_bars_between_fixed_ends():
    one = evaluation(scored("qabf", 0.5, best=1.0), scored("mse", 3.0, "down"), warnings=["A warning"])
    two = evaluation(scored("qabf", 0.25, best=1.0), scored("mse", 2.0, "down"))
    table = score_table([("one", one), ("two", two)])
    assert [column["name"] for column in table["columns"]] == ["one", "two"]
    qabf, mse = table["rows"]
    assert [cell["best"] for cell in qabf["cells"]] == [True, False]
    assert [cell["best"] for cell in mse["cells"]] == [False, True]
    assert [cell["bar"] for cell in qabf["cells"]] == [50, 25]
    assert [cell["bar"] for cell in mse["cells"]] == [0, 0]
    assert table["notes"] == ["A warning"]
    json.dumps(table, allow_nan=False)


def test_an_undefined_score_says_why_and_a_lone_result_is_not_the_best():
    table = score_table([("one", evaluation(scored("qabf", math.nan, reason="no edges"), scored("ssim", 0.4)))])
    undefined, known = (row["cells"][0] for row in table["rows"])
    assert undefined["why"] == "no edges"
    assert not undefined["best"]
    assert not known["best"]


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("patient_CT_venous", "CT"),
        ("MR_T1", "MR"),
        ("sub-01_FLAIR", "MR"),
        ("t2w", "MR"),
        ("PET_FDG_cn116", "PET"),
        ("SUVbw", "OTHER"),
        ("SPECT_HMPAO_rasflip", "SPECT"),
        ("T1wMRI", "MR"),
        ("head", "OTHER"),
        ("contact", "OTHER"),
    ],
)
def test_a_modality_is_guessed_by_the_words_of_the_name(name, modality):
    grid = Grid((2, 2, 2), np.eye(4))
    assert modality_in(Volume(np.ones(grid.shape), grid, "OTHER", name)) == modality


def test_air_of_minus_1000_is_guessed_to_be_ct():
    grid = Grid((2, 2, 2), np.eye(4))
    assert modality_in(Volume(np.full(grid.shape, -1000.0), grid, "OTHER", "head")) == "CT"
