"""Everything about the API server. The kubernetes client is known only here."""
