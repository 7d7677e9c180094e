"""Everything about git: addresses, the wire, and the object cache. dulwich and asyncssh are known only here."""
