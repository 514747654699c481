"""Faults: what is left when a run is killed, its disk fills up, its clock jumps, or its databases go away.

`python -m faults kill --times 100` from the folder `tests`, or `make faults` for all of them; tests/test_faults.py
tries a few of each.
"""
