"""What this GitHub knows: accounts, runs, jobs, runners, and the rules by which they change."""
