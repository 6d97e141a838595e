"""Products, orders, jobs, operations and the runs that execute them."""
