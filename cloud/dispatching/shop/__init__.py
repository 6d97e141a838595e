"""The shop and a plan for it as plain data: what makes no sense, what a plan breaks, and why it is so."""
