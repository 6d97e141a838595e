"""A plan kept in force: when to plan anew, what is published, which work goes to which edge."""
