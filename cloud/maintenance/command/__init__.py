"""``onelot maintenance``: train, score, explain and measure models on files, with no server."""
