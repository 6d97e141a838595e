"""The virtual factory: pure physics beside the servers that show it on real protocols."""
