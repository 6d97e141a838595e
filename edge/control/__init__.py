"""What people do to machines by way of an edge: locks, accepted firmware, commands."""
