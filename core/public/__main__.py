"""`python -m fieldmark` is the command line."""

from fieldmark.cli.main import main

main()
