"""Methods x metrics x data set -> tables, ranks, a report: `run_benchmark` in `run.py` is the whole step.

cases.py  ->  work.py (one case), table.py  ->  groups.py  ->  summary.py, ranks.py  ->  report.py, html.py
"""
