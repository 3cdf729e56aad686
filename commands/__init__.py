"""What the command line's commands share: output, arguments, the long-running ones."""
