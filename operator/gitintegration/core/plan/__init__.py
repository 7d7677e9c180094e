"""What is about to be written, as values: what a run may do, what it would do, and what waits for a person."""
