"""Charts and nonconformances on the page."""
