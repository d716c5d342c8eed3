"""How fast it is, how it grows, and what it costs: against the floor, and against what one would write or use instead.

Every figure is a ratio of two measurements in one run, or a count. `python -m bench` is what the Makefile calls.
"""
