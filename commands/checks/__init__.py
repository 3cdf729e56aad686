"""What `penstock doctor` looks at: one file a part, each check one line."""
