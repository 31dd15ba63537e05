"""Work in a thread: reports wait, errors and results are handed over, cancel ends it at the next report."""

from __future__ import annotations

import threading
import time

import pytest

from MedFusionLib.errors import Cancelled, InputError
from MedFusionLib.job import Job


def test_a_job_computes_in_another_thread_and_queues_its_reports():
    def compute(progress):
        progress(0.5, "half")
        progress(1.0, "all")
        return threading.current_thread()

    job = Job(compute)
    assert job.is_done(seconds=10)
    assert job.reports() == [(0.5, "half"), (1.0, "all")]
    assert job.reports() == []
    assert job.result() is not threading.current_thread()


def test_a_job_hands_over_the_error_of_its_thread():
    def compute(progress):
        raise InputError("Something", found="nothing")

    job = Job(compute)
    assert job.is_done(seconds=10)
    with pytest.raises(InputError, match="Something"):
        job.result()


def test_a_cancelled_job_ends_at_its_next_report():
    def compute(progress):
        for step in range(10_000):
            progress(step / 10_000, "working")
            time.sleep(0.001)

    job = Job(compute)
    assert not job.is_done(seconds=0.02)
    job.cancel()
    assert job.is_done(seconds=2)
    with pytest.raises(Cancelled):
        job.result()
