"""``onelot driver browse``: what a machine has, before anybody has written a profile of it."""
