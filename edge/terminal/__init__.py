"""The operator's terminal. Only `app` and `main` know Textual; everything else is plain and tested so."""
