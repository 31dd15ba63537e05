"""A run in a thread of its own: its progress, the time left, cancel."""

from time import monotonic

import qt
from slicer.i18n import tr as _

from MedFusionPanel.widgets import shownErrors

_LOOK_MS = 50
_WAIT_SECONDS = 0.01
_LEAST_SECONDS, _LEAST_SHARE = 2.0, 0.05
"""Before so much has passed, a time left would be a guess."""


class Run:
    """At most one run at a time.

    Args:
        ui: the panel's widgets.
        onChanged: called when a run begins or ends.
        tell: shows a sentence, as a warning if its second argument is true.
    """

    def __init__(self, ui, onChanged, tell):
        self._ui, self._onChanged, self._tell = ui, onChanged, tell
        self._job = self._present = self._started = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_LOOK_MS)
        self._timer.connect("timeout()", self.onTimer)
        ui.cancelButton.connect("clicked(bool)", self.cancel)

    @property
    def running(self):
        """Whether there is a run."""
        return self._job is not None

    @property
    def canBeCanceled(self):
        """Whether there is a run that was not canceled yet."""
        return self.running and not self._job.cancelled

    def start(self, compute, present):
        """Call `compute` with the keyword progress in a thread; `present` gets what comes out, in this one."""
        from MedFusionLib.job import Job

        self._job, self._present, self._started = Job(compute), present, monotonic()
        self._ui.progressBar.value = 0
        self._tell("")
        self._timer.start()
        self._onChanged()

    def cancel(self, _checked=False):
        """Ask the run to stop at its next report."""
        if self.running:
            self._job.cancel()
            self._tell(_("Canceling..."))
            self._onChanged()

    def stop(self):
        """Forget the run and look no longer; its thread ends at its next report."""
        self.cancel()
        self._timer.stop()
        self._job = None
        self._tell("")

    def onTimer(self):
        """Show what the run reports and, at its end, what came out."""
        # Waiting releases the interpreter lock, which Slicer's event loop may else keep from the thread.
        done = self._job.is_done(seconds=_WAIT_SECONDS)
        for fraction, message in self._job.reports():
            self._ui.progressBar.value = round(100 * fraction)
            if not self._job.cancelled:
                self._tell(message + self._left(fraction))
        if done:
            self._end()

    def _left(self, fraction):
        """How long it will take still, in words, once that can be told."""
        passed = monotonic() - self._started
        if passed < _LEAST_SECONDS or not _LEAST_SHARE < fraction < 1:
            return ""
        return _(", {time} left").format(time=inWords(passed * (1 - fraction) / fraction))

    def _end(self):
        self._timer.stop()
        job, self._job = self._job, None
        self._onChanged()
        self._tell(_("Canceled.") if job.cancelled else "")
        if not job.cancelled:
            with shownErrors(self._tell, _("The run failed.")):
                self._present(job.result())


def inWords(seconds):
    """A time for people: 8 s, 3 min."""
    if seconds < 1:
        return _("less than 1 s")
    return _("{n} s").format(n=round(seconds)) if seconds < 90 else _("{n} min").format(n=round(seconds / 60))
