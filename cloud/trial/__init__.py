"""``onelot up``: what a folder's files describe runs on this computer, for a trial."""
