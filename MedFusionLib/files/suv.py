"""From the numbers of a PET scanner to standardized uptake values by body weight (SUVbw)."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from MedFusionLib.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

SUV_TAGS = (
    "Units",
    "SUVType",
    "DecayCorrection",
    "CorrectedImage",
    "PatientWeight",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "TimezoneOffsetFromUTC",
    "RadiopharmaceuticalInformationSequence",
)
"""The DICOM tags that decide on the unit."""

_logger = logging.getLogger("MedFusionLib")
_COUNTS = ("CNTS", "NONE", "CPS", "PROPCNTS", "PROPCPS")
_DOSE_BQ = (1e5, 1e11)
_HALF_LIVES = 10
"""No scan is made of a thousandth of the dose: such a date is wrong (de-identification shifts them)."""


def pet_factor_and_unit(headers: Sequence[Dataset], name: str) -> tuple[float, str]:
    """What to multiply a PET series by, and the unit it is in then.

    Activity becomes SUVbw where the tags allow; where not, it stays as it is and a note in the log says why.

    Args:
        headers: of all images of the series.
        name: what to call the series in the note.

    Returns:
        (factor, "SUV"), or (1.0, "Bq/ml", "counts" or "a.u.").
    """
    units = str(headers[0].get("Units") or "missing")
    if units == "GML":
        kind = str(headers[0].get("SUVType") or "BW")
        if kind != "BW":
            _logger.warning("%s: its SUV are of type %s, not by body weight", name, kind)
        return 1.0, "SUV"
    if units == "BQML":
        try:
            return suv_factor(headers, name), "SUV"
        except DataError as error:
            _logger.warning("%s. Its values stay in Bq/ml", error)
            return 1.0, "Bq/ml"
    unit = "counts" if units in _COUNTS else "a.u."
    _logger.warning("%s: no SUV can be had from DICOM Units %s; its values are %s", name, units, unit)
    return 1.0, unit


def suv_factor(headers: Sequence[Dataset], name: str) -> float:
    """SUVbw per Bq/ml: body weight (g) by the dose (Bq) that was left at the time the images are corrected to.

    Args:
        headers: of all images of the series.
        name: what to call the series in errors.

    Returns:
        g/Bq, so that activity in Bq/ml times this is SUVbw (a ml of tissue counted as a gram).

    Raises:
        DataError: if a tag is missing or not credible; the message says which.

    References:
        DICOM PS3.3 C.8.9.1 (PET Series); QIBA, SUV vendor-neutral calculation.
    """
    header = headers[0]
    items = header.get("RadiopharmaceuticalInformationSequence") or []
    if len(items) != 1:
        raise DataError(f"SUV of {name}", found=f"{len(items)} radiopharmaceuticals", accepted="one")
    if header.get("CorrectedImage") and "ATTN" not in header.CorrectedImage:
        raise DataError(f"SUV of {name}", found="images without attenuation correction", accepted="corrected images")
    weight = _number(header, "PatientWeight", name, 0.01, 700, "kg")
    dose = _number(items[0], "RadionuclideTotalDose", name, *_DOSE_BQ, "Bq")
    correction = str(header.get("DecayCorrection") or "missing")
    if correction == "START":
        half_life = _number(items[0], "RadionuclideHalfLife", name, 1, 1e8, "s")
        dose *= 0.5 ** (_seconds_since_injection(headers, items[0], half_life, name) / half_life)
    elif correction != "ADMIN":
        raise DataError(f"SUV of {name}", found=f"DecayCorrection {correction}", accepted="START or ADMIN")
    return 1000 * weight / dose


def _number(header: Dataset, tag: str, name: str, low: float, high: float, unit: str) -> float:
    value = header.get(tag)
    if not isinstance(value, (int, float)) or not low <= value <= high:
        raise DataError(
            f"SUV of {name}",
            found=f"no {tag}" if value is None else f"{tag} {value}",
            accepted=f"{low:g} to {high:g} {unit}",
        )
    return float(value)


def _seconds_since_injection(headers: Sequence[Dataset], item: Dataset, half_life: float, name: str) -> float:
    scan, stamp = _scan_start(headers, name), str(item.get("RadiopharmaceuticalStartDateTime") or "")
    zone = re.search(r"[+-]\d{4}$", stamp)
    if zone and zone.group() != str(headers[0].get("TimezoneOffsetFromUTC")):
        raise DataError(f"SUV of {name}", found=f"injection time in zone {zone.group()}, scan time in another or none")
    injected = _instant(stamp[:8], stamp[8:].removesuffix(zone.group() if zone else ""))
    credible = timedelta(seconds=_HALF_LIVES * half_life)
    if injected is not None:
        elapsed = scan - injected
    else:
        injected = _instant(scan.strftime("%Y%m%d"), item.get("RadiopharmaceuticalStartTime"))
        if injected is None:
            raise DataError(f"SUV of {name}", found="no RadiopharmaceuticalStartTime", accepted="a time")
        # A time without a date may lie before midnight; more than half a day is a clock that runs ahead.
        elapsed, credible = (scan - injected) % timedelta(days=1), timedelta(hours=12)
    if not timedelta(0) <= elapsed <= credible:
        raise DataError(f"SUV of {name}", found=f"{elapsed} from injection to scan", accepted=f"0 to {credible}")
    return elapsed.total_seconds()


def _scan_start(headers: Sequence[Dataset], name: str) -> datetime:
    """The time START refers to. A series time after the first acquisition is that of a later processing."""
    series = _instant(headers[0].get("SeriesDate"), headers[0].get("SeriesTime"))
    acquired = (_instant(header.get("AcquisitionDate"), header.get("AcquisitionTime")) for header in headers)
    known = [instant for instant in (series, *acquired) if instant is not None]
    if not known:
        raise DataError(f"SUV of {name}", found="no date and time of series or acquisition", accepted="one of them")
    return min(known)


def _instant(date: object, time: object) -> datetime | None:
    """A moment from DICOM's date (20240131, old 2024.01.31) and time (093000.5, old 09:30:00); None if unreadable."""
    day = re.sub(r"[.-]", "", str(date or ""))
    clock, _, fraction = str(time or "").replace(":", "").strip().partition(".")
    if not re.fullmatch(r"\d{8}", day) or not re.fullmatch(r"\d{2,6}", clock) or not re.fullmatch(r"\d*", fraction):
        return None
    try:
        return datetime.strptime(day + clock.ljust(6, "0"), "%Y%m%d%H%M%S") + timedelta(seconds=float(f"0.{fraction}0"))
    except ValueError:
        return None
