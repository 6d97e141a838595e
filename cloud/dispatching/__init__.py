"""Planning: what runs where and when, and why."""
