"""What Slicer does not bring: PyTorch comes through its extension, the rest through Slicer's own dialog."""

import importlib.util

from slicer.i18n import tr as _

TORCH_VERSION = ">=2.4"
PACKAGES = ["psutil>=5.9"]


def torchIsMissing():
    """Whether PyTorch is not installed; asking does not import it."""
    return importlib.util.find_spec("torch") is None


def requirePackages():
    """See that what Slicer does not bring is there, without importing it: that takes seconds, and is the run's work.

    Raises:
        MedFusionLib.errors.DependencyError: with the way to get what is missing.
    """
    from MedFusionLib.device import require_packages

    if any(importlib.util.find_spec(name) is None for name in ("torch", "psutil")):
        require_packages()


def installTorch():
    """Install PyTorch through its extension, which asks first.

    Raises:
        MedFusionLib.errors.DependencyError: if the extension is not there.
    """
    if importlib.util.find_spec("PyTorchUtils") is None:
        from MedFusionLib.errors import DependencyError

        raise DependencyError(
            _("Installing PyTorch"),
            found=_("the extension PyTorch is not installed"),
            fix=_("Install it in the Extensions Manager, restart Slicer and come back"),
        )
    import PyTorchUtils

    PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH_VERSION)
    importlib.invalidate_caches()


def ensurePackages():
    """Offer to install what is missing besides PyTorch."""
    import slicer.packaging

    slicer.packaging.pip_ensure(PACKAGES, requester="MedFusion")
