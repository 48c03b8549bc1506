"""`python -m priorvae`."""

from priorvae.cli.main import main

if __name__ == "__main__":
    main()
