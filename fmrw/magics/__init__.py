"""The notebook's door."""
