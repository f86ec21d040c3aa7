"""``python -m earmark``: the command line where its script is not on the path."""

from earmark.cli import main

if __name__ == "__main__":
    main()
