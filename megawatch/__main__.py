"""`python -m megawatch`."""

from megawatch.cli.main import main

main()
