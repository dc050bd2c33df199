"""`python -m megawatch`."""

from megawatch.cli import main

main()
