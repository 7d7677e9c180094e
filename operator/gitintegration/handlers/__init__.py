"""kopf is known only here: it watches the integrations and runs the process's life cycle."""
