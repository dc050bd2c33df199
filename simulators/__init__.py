"""A data center that is not there, with the truth it knows; it meets the product only on the wire.

`scenario` says what happens, `model` what the plant does then, `meters` what is seen of it, `wire` how it is
said; `publish` says it to a broker, and `truth` keeps what was so. `run` joins them. All but `publish` are
pure, save that the record of the truth is written to a disk: the same seed says the same.
"""
