"""REST under ``/api/v1``: who may ask, what they get, and what is wrong when they don't."""
