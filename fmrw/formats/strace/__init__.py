"""Logs of strace."""
