"""Maintenance cases on the page."""
