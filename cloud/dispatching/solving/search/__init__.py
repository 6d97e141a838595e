"""Critical-path local search for shops that are machines, routings and changeovers only (decision 0024)."""
