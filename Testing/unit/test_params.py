"""Parameters come from the signature, and every wrong one names itself, its bounds and the nearest right one."""

from __future__ import annotations

from typing import Annotated

import pytest

from MedFusionLib.errors import ParameterError, UnknownNameError
from MedFusionLib.params import Choice, Range, checked, parameters_of
from MedFusionLib.registry import find_method, list_methods, method


def example(
    sources,
    *,
    sigma: Annotated[float, Range(0.5, 20, unit="voxel")] = 4.0,
    levels: Annotated[int, Range(1, 8)] = 3,
    low: Annotated[str, Choice("mean", "maximum")] = "mean",
    mirror: bool = True,
    modalities: tuple[str, ...] = (),
):
    """Do something.

    Args:
        sources: images.
        sigma: width of
            the Gaussian.
        levels: how often.
        low: what happens
            below.

    Returns:
        nothing: much.
    """


PARAMETERS = parameters_of(example)


def test_parameters_are_the_keywords_that_are_not_handed_over():
    assert list(PARAMETERS) == ["sigma", "levels", "low", "mirror"]


def test_type_default_bounds_and_help_are_read():
    sigma = PARAMETERS["sigma"]
    assert (sigma.kind, sigma.default, sigma.bounds) == (float, 4.0, Range(0.5, 20, "voxel"))
    assert sigma.help == "width of the Gaussian."
    assert PARAMETERS["low"].help == "what happens below."
    assert sigma.accepted == "float, 0.5 to 20 voxel"
    assert PARAMETERS["mirror"].accepted == "true or false"


def test_defaults_fill_what_is_not_given_and_text_is_parsed():
    values = checked("example", PARAMETERS, {"levels": "5", "mirror": "no", "sigma": 2})
    assert values == {"sigma": 2.0, "levels": 5, "low": "mean", "mirror": False}
    assert isinstance(values["sigma"], float)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("levels", 0),
        ("levels", 9),
        ("levels", 2.5),
        ("levels", "two"),
        ("levels", True),
        ("levels", float("inf")),
        ("sigma", float("nan")),
        ("sigma", float("inf")),
        ("sigma", "20.1"),
        ("sigma", None),
        ("low", "median"),
        ("mirror", 1),
        ("mirror", "perhaps"),
    ],
)
def test_a_wrong_value_names_the_parameter_the_value_and_what_is_accepted(name, value):
    with pytest.raises(ParameterError) as caught:
        checked("example", PARAMETERS, {name: value})
    assert f"Parameter {name}: found {value!r}; accepted: {PARAMETERS[name].accepted}" in str(caught.value)


def test_an_unknown_parameter_names_the_nearest():
    with pytest.raises(ParameterError, match=r"'level'; accepted: sigma, levels, low, mirror\. Did you mean levels\?"):
        checked("example", PARAMETERS, {"level": 2})


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'laplacien'.*Did you mean laplacian\?"):
        find_method("laplacien")


def test_the_eight_methods_of_the_first_release_are_there():
    assert {"average", "weighted", "maximum", "two_scale", "laplacian", "dwt", "guided", "pca"} <= set(list_methods())


def test_two_methods_of_one_name_are_refused():
    def laplacian(sources):
        """Another."""

    with pytest.raises(ValueError, match="two functions are named 'laplacian'"):
        method(title="x", family="transform", dims=(2,), sources=(2, None), reference="x")(laplacian)
