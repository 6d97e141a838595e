"""The agent on a workstation PC, and the operator terminal."""
