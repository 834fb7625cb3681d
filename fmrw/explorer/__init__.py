"""The widget."""
