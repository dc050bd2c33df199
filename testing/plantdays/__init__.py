"""Random days of a plant: faults at random times and places, held against what its physics say was so."""
