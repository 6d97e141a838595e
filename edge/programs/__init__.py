"""NC programs on their way from an engineer's release to a machine, and what is found of them there."""
