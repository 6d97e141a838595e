"""The supervisor's page. Only this folder knows NiceGUI; what is shown is worked out in plain functions."""
