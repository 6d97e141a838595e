"""Waveforms: blocks of samples as they are kept and sent, and the numbers that are made of them."""
