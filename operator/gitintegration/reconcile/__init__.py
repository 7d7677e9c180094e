"""One sync: observe, read, decide, apply, publish, checkpoint, report."""
