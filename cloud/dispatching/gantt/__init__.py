"""A plan as a Gantt chart: what is drawn, and its SVG."""
