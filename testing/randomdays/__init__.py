"""Days on which much goes wrong at random, and what a monitor could know of them."""
