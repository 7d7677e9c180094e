"""Where each item stands: what was read of it, what is due, what is stored, and what counts as evidence."""
