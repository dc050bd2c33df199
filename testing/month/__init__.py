"""The reference month: thirty days of a small site with faults, and what every rule makes of them."""
