"""``python -m insilico`` is the command line."""

from insilico.cli import main

if __name__ == "__main__":
    main()
