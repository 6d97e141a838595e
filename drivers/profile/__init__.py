"""Device profiles: schema, rules, expansion, files and reference page."""
