"""What merging a pull request would do, judged and told."""
