"""What the page knows when it opens: every name that the page and its actions share."""

from __future__ import annotations

from typing import Any

from MedFusionLib.harmonize.color import TABLES
from MedFusionLib.pipeline import REGISTRATIONS
from MedFusionLib.volume import MODALITIES
from MedFusionLib.web.forms import defaults_of, fields_of, method_facts, method_items

_METHOD = "laplacian"


def start_state() -> dict[str, Any]:
    """Nothing loaded, nothing running, everything at its default."""
    return {**_menus(), **_choices(), **_progress(), **_shown()}


def _menus() -> dict[str, Any]:
    return {
        "method_items": method_items(),
        "modalities": list(MODALITIES),
        "registrations": list(REGISTRATIONS),
        "colors": ["auto", "none", *TABLES],
    }


def _choices() -> dict[str, Any]:
    return {
        "sources": [],
        "reference": "",
        "register": "none",
        "color": "auto",
        "method": _METHOD,
        "facts": method_facts(_METHOD),
        "fields": fields_of(_METHOD),
        "parameters": defaults_of(_METHOD),
    }


def _progress() -> dict[str, Any]:
    return {
        "busy": False,
        "cancelling": False,
        "progress": 0,
        "message": "",
        "uploading": "",
        "dropping": False,
        "error": "",
        "notes": [],
    }


def _shown() -> dict[str, Any]:
    return {
        "layers": [],
        "base": "",
        "over": "",
        "mode": "blend",
        "opacity": 0.5,
        "squares": 8,
        "renderable": [],
        "rendered": "",
        "live": False,
        "live_text": "",
        "results": [],
        "result": "",
        "scored": False,
        "scores": {"columns": [], "rows": [], "notes": []},
        "scores_open": False,
    }
