"""One rule a file, named after the catalogue (domain facts, section 9)."""
