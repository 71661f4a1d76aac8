"""Lambda execution environments on this machine: in this process, or in a child process."""
