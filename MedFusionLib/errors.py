"""What can go wrong, and what to do about it.

Every message says what was asked, what was found, what is accepted, and how to mend it, on one line.
Two kinds: `InputError` is the user's to mend (the terminal exits with 2), `RunError` is not (exit 1).
"""

from __future__ import annotations


class MedFusionError(Exception):
    """Anything MedFusion raises on purpose.

    Args:
        asked: what was to be done.
        found: the offending value.
        accepted: what would have been right.
        fix: what to do next.
    """

    def __init__(self, asked: str, *, found: object, accepted: str = "", fix: str = ""):
        message = f"{asked}: found {str(found).rstrip(' .')}"
        if accepted:
            message += f"; accepted: {accepted}"
        if fix:
            message += f". {fix}"
        super().__init__(message)


class InputError(MedFusionError, ValueError):
    """The input or a choice of the user cannot be used as it is."""


class ParameterError(InputError):
    """A parameter is unknown, of the wrong type or out of its bounds."""


class UnknownNameError(InputError, LookupError):
    """No method (metric, model, color table …) has this name."""


class FileError(InputError):
    """A file or folder is missing, truncated, or of a kind that cannot be read or written."""


class ModalityError(InputError):
    """The modality is not known, not supported, or contradicts the file."""


class GeometryError(InputError):
    """Shape, axes or spacing do not describe one usable grid."""


class NoOverlapError(GeometryError):
    """The volumes share no space."""


class DataError(InputError):
    """The voxels cannot be used: constant, no finite value, wrong type or number of dimensions."""


class RegistrationError(InputError):
    """No pose was found that brings the volumes closer than they were."""


class DependencyError(InputError, ImportError):
    """A package that this step needs is not installed."""


class RunError(MedFusionError, RuntimeError):
    """The work failed though the input was right."""


class SaveError(RunError):
    """The result could not be written; what stood at that place is untouched."""


class OutOfMemoryError(RunError):
    """The smallest piece of work does not fit in memory."""


class Cancelled(MedFusionError):
    """The user stopped the run. Raise it from a progress callback to cancel."""

    def __init__(self, at: str = "the user's request"):
        super().__init__("Run", found=f"cancelled at {at}")
