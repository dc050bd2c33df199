"""One rule a file, named after the catalogue: C for contract, Q for quality of data."""
