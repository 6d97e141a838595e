"""Predictive maintenance: health from the machine's own baseline, cases with evidence."""
