"""The model file of predictive maintenance and its evaluation: pure Python, the same on both sides."""
