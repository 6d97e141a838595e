"""Questions to the plan in force, asked of the service: scenarios, promises, who will be late."""
