"""Files and commits, in worker processes: manifests are read out of the object cache, and edited into a commit."""
