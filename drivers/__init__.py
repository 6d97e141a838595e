"""One file per kind of machine interface: its configuration and its driver."""
