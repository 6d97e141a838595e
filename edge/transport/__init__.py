"""What brings pieces from one workcell to the next: missions, and the port to whatever carries them."""
