"""Checks what would be deployed to AWS with the tools of others."""
