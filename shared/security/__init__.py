"""Passwords, access tokens, refresh tokens: what is secret, and how it is proved."""
