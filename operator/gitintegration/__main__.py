"""`python -m gitintegration`: the command line."""

from gitintegration.console import main

if __name__ == "__main__":
    main()
