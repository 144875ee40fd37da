"""`python -m kernleap`: what bin/kernleap runs."""

from kernleap.cli import main

if __name__ == "__main__":
    main()
