"""Speed, growth and cost of the function, compared with a baseline and with alternatives.

Every figure is a ratio of two measurements in one run, or a count. `make bench` runs `python -m bench`.
"""
