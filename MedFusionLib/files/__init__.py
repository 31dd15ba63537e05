"""One file format a file, behind `load.py` and `save.py`; LPS becomes RAS here and nowhere else."""
