"""Forges: pull requests and GitHub App tokens over their REST APIs. The only package that speaks to them."""
