"""GitOperations: push, pull, test, history."""
