"""One screen a file: what it shows, which keys it has, what they do."""
