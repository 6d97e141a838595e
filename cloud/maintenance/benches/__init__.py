"""Public data sets that the maintenance is measured on; each bench names what it counts and how."""
