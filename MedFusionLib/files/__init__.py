"""One file format a file, behind `load.py` and `save.py`; left-handed LPS becomes RAS here and nowhere else."""
