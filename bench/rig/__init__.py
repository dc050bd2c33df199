"""What runs whole programs under load: publishers, the programs and their peers, and what they need."""
