"""The imperative shell: observe both sides, plan, write, remember, report."""
