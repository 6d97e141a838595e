"""What people ask of a plan: what if, what can we promise, will it be on time? All of it pure."""
