"""What the page says about planning: why it was planned anew, what waits for what, what somebody decided."""
