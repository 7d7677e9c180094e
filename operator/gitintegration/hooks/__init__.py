"""The receiver of webhooks: what a delivery proves, what it tells of, and whom it wakes. Talks to the API server only."""
