"""What is asked of the code and of what it stands on: mutants, vulnerabilities, parts."""
