"""Virtual files: reports that appear in the mount."""
