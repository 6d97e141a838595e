"""The shop floor read from the database, and the planner's problem built from it."""
