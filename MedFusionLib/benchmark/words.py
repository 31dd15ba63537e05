"""What a table of a benchmark stands on, in words: the same in the page and in Markdown."""

from __future__ import annotations

import math

from MedFusionLib.benchmark.groups import Group
from MedFusionLib.benchmark.ranks import Ranking
from MedFusionLib.benchmark.summary import FEWEST_PATIENTS


def about(group: Group, ranking: Ranking | None) -> str:
    """How many cases and patients, and what the tests say."""
    patients = len(group.known_patients)
    who = f"{patients} patient{'s' * (patients != 1)}" if patients else "patients not told"
    few = "" if patients >= FEWEST_PATIENTS else f" (fewer than {FEWEST_PATIENTS} give no interval and no test)"
    return " ".join([f"{len(group.cases)} cases, {who}{few}.", *([told(ranking)] if ranking else [])]).strip()


def told(ranking: Ranking) -> str:
    """Tests, and what was left out."""
    words = []
    if not math.isnan(ranking.friedman):
        words.append(
            f"Over {ranking.blocks} patients: Friedman p = {ranking.friedman:.2g}; "
            f"Nemenyi critical difference of mean ranks {ranking.critical:.2f} at 5 %."
        )
    if ranking.dropped:
        words.append(f"{ranking.dropped} cells (patient, metric) without a value for some method were left out.")
    return " ".join(words)
