"""`python -m detectorist` is the command `detectorist`, of the environment of that Python."""

from detectorist.cli import main

if __name__ == "__main__":  # workers import this module again
    main()
