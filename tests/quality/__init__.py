"""What is asked of the code: its own tests."""
