"""Health of an asset from its own past: sensors first, then regime, then deviation, with evidence. Pure."""
