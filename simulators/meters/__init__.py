"""Between plant and wire: instruments, what they show, their registers, and what goes wrong with them."""
