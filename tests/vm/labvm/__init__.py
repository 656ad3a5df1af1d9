"""The VM lab: builds a stock Debian machine, runs it under QEMU, and tests latencyd in it."""
