"""What wakes an integration, what each run needs, and where its status is written."""
