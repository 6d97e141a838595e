"""``onelot demo``: the whole loop on one machine, each part a process of its own."""
