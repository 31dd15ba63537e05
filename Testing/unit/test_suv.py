"""SUVbw by hand-computed cases, and the reasons why there is none."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.sequence import Sequence

from MedFusionLib.errors import DataError
from MedFusionLib.files.suv import pet_factor_and_unit, suv_factor

NAME = "PET series 1"
HALF_LIFE = 6588


def header(item=(), **tags) -> Dataset:
    """The tags of STS_001 (GE Discovery ST): 71 kg, 388.8 MBq at 10:35:00, series at 11:20:11, all changeable."""
    dose = {
        "RadionuclideTotalDose": 388777472,
        "RadionuclideHalfLife": HALF_LIFE,
        "RadiopharmaceuticalStartTime": "103500.00",
    }
    injected, made = Dataset(), Dataset()
    for tag, value in (dose | dict(item)).items():
        setattr(injected, tag, value)
    defaults = {
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN", "SCAT"],
        "PatientWeight": 71,
        "SeriesDate": "20000907",
        "SeriesTime": "112011.00",
        "AcquisitionDate": "20000907",
        "AcquisitionTime": "112011.00",
        "RadiopharmaceuticalInformationSequence": Sequence([injected]),
    }
    with disable_value_validation():
        for tag, value in (defaults | tags).items():
            if value is not None:
                setattr(made, tag, value)
    return made


def after(seconds: float) -> float:
    return 71000 / (388777472 * 0.5 ** (seconds / HALF_LIFE))


def test_factor_of_the_real_ge_series_is_the_known_one():
    # 2711 s after injection; 2.42903e-4 was computed independently when the data were collected.
    assert suv_factor([header()], NAME) == pytest.approx(2.42903e-4, rel=1e-5)
    assert suv_factor([header()], NAME) == pytest.approx(after(2711), rel=1e-12)


def test_dose_at_administration_does_not_decay():
    assert suv_factor([header(DecayCorrection="ADMIN")], NAME) == pytest.approx(after(0), rel=1e-12)


@pytest.mark.parametrize(
    ("tags", "item", "seconds"),
    [
        ({"SeriesTime": "1130"}, {}, 2711),
        ({"SeriesTime": "110000.500000"}, {}, 1500.5),
        ({"SeriesTime": "11:00:00", "SeriesDate": "2000.09.07"}, {}, 1500),
        ({"SeriesDate": None, "SeriesTime": None}, {}, 2711),
        ({}, {"RadiopharmaceuticalStartDateTime": "20000907102000.00"}, 3611),
        ({"SeriesTime": "001000", "SeriesDate": "20000907"}, {"RadiopharmaceuticalStartTime": "234000"}, 1800),
        (
            {"TimezoneOffsetFromUTC": "+0100"},
            {"RadiopharmaceuticalStartDateTime": "20000907102000.00+0100"},
            3611,
        ),
    ],
    ids=["later series", "fraction", "old style", "acquisition only", "date and time", "over midnight", "same zone"],
)
def test_decay_counts_from_injection_to_the_earliest_of_series_and_acquisitions(tags, item, seconds):
    assert suv_factor([header(item, **tags)], NAME) == pytest.approx(after(seconds), rel=1e-12)


def test_earliest_acquisition_of_all_images_counts_when_the_series_time_is_later():
    headers = [header(SeriesTime="130000", AcquisitionTime=time) for time in ("114000", "112011", "120000")]

    assert suv_factor(headers, NAME) == pytest.approx(after(2711), rel=1e-12)


@pytest.mark.parametrize(
    ("tags", "item", "reason"),
    [
        ({"PatientWeight": None}, {}, "no PatientWeight"),
        ({"PatientWeight": 0}, {}, "PatientWeight 0"),
        ({"PatientWeight": 71000}, {}, "PatientWeight 71000"),
        ({}, {"RadionuclideTotalDose": 388}, "RadionuclideTotalDose 388"),
        ({}, {"RadionuclideHalfLife": None}, "no RadionuclideHalfLife"),
        ({"DecayCorrection": "NONE"}, {}, "DecayCorrection NONE"),
        ({"CorrectedImage": ["DECY"]}, {}, "without attenuation correction"),
        ({"RadiopharmaceuticalInformationSequence": Sequence([])}, {}, "0 radiopharmaceuticals"),
        ({}, {"RadiopharmaceuticalStartTime": ""}, "no RadiopharmaceuticalStartTime"),
        ({}, {"RadiopharmaceuticalStartTime": "112511"}, "23:55:00 from injection"),
        ({}, {"RadiopharmaceuticalStartDateTime": "20000807103500"}, "31 days, 0:45:11 from injection"),
        ({}, {"RadiopharmaceuticalStartDateTime": "20000907083500+0000"}, r"zone \+0000"),
        (dict.fromkeys(("SeriesTime", "AcquisitionTime"), ""), {}, "no date and time of series"),
    ],
)
def test_activity_stays_activity_with_a_note_that_says_why(caplog, tags, item, reason):
    with pytest.raises(DataError, match=reason):
        suv_factor([header(item, **tags)], NAME)

    assert pet_factor_and_unit([header(item, **tags)], NAME) == (1.0, "Bq/ml")
    assert f"SUV of {NAME}" in caplog.text
    assert "Its values stay in Bq/ml" in caplog.text


@pytest.mark.parametrize(
    ("units", "unit", "note"),
    [("GML", "SUV", ""), ("CNTS", "counts", "CNTS"), ("PROPCPS", "counts", "PROPCPS"), (None, "a.u.", "missing")],
)
def test_unit_follows_the_units_tag(caplog, units, unit, note):
    assert pet_factor_and_unit([header(Units=units)], NAME) == (1.0, unit)
    assert (note in caplog.text) if note else not caplog.text


def test_suv_by_other_than_body_weight_is_noted(caplog):
    assert pet_factor_and_unit([header(Units="GML", SUVType="LBM")], NAME) == (1.0, "SUV")
    assert "type LBM" in caplog.text
