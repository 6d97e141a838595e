"""``onelot dispatch``: plan, check and compare problem files, with no server running."""
