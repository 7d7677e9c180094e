"""Checks of open pull requests: what merging one would do is planned as a pull is, told to the forge, and never done."""
