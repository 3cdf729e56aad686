"""What the admin interface takes and answers, for its description and for checking both."""
