"""The language spoken on every wire: bytes in, events out, no I/O."""
