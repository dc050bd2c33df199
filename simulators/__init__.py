"""A data center that is not there, with the truth it knows; it meets the product only on the wire.

`plant` knows what every rack draws, `script` what happens when, `bus` how the DSX bus says it, and `publish`
says it to a broker. All but the last are pure: the same seed says the same.
"""
