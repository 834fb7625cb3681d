"""The mounts of this machine: found, ended, refused."""
