"""Waveforms at the cloud: blocks asked for at the edges, kept as evidence, and drawn."""
