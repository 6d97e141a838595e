"""The ``onelot quality`` command: charts and capability from files, without a server."""
