"""The REST API, over the resources. It talks to the API server only, and as its callers."""
