"""`python -m hwq.cli`, the same as `hwq`."""

from hwq.cli import main

main()
