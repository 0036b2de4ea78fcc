"""A relaxed member: what is mixed where, and how it runs."""
