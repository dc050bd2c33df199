"""What happens: scenario files, those that come with the product, and random days."""
