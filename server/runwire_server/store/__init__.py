"""Metadata in SQL: one module per noun, of functions that take a transaction first."""
