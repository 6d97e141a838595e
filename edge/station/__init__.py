"""The operator's side of an edge: stations, the work in hand, what may be done and why not."""
