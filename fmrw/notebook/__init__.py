"""The notebook's door: magics, the explorer, the hex view."""
