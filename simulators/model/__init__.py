"""The plant itself: loads, power and cooling of a site of any size, pure and second by second.

`layouts` writes the site file of a plant, `wiring` turns a site into arrays, `load` says what every rack
wants, `power` and `cooling` what it gets and what becomes of it, and `plant` joins them into one `State` a
second. Nothing here has a clock, reads a file or knows of meters: what a meter makes of a `State` is said
outside.
"""
